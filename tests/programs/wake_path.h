/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wake_path - a job that three threads do one after the other, again and again
 *
 * main() wakes `job-a`, that computes 3 ms and wakes `job-b`, that computes 7 ms
 * and wakes `job-c`, that computes 11 ms and wakes main(). Nobody else works, so
 * the critical path of main() is known: at any time the one stage at work.
 * `job-idle` waits as long as they do, and is never on it.
 *
 * Owner:   main().
 * Threads: its own.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include "wake_futex.h"

#define WAKE_STAGE_N 3
#define WAKE_MOST_JOBS 10000

struct wake_stage {
    const char *name, *function;
    uint64_t (*compute)(uint64_t n_iterations);
    pthread_t thread;
    atomic_int tid;
    uint64_t n_jobs, n_iterations;
    struct wake_futex begin;
    struct wake_futex *next;
    uint64_t *start_ns, *end_ns; /* of each job's computing, CLOCK_MONOTONIC */
    uint64_t cpu_ns;             /* of all computing */
};

struct wake_path {
    struct wake_stage stages[WAKE_STAGE_N];
    struct wake_futex done;
    uint64_t n_jobs, start_ns, end_ns;
};

/* Does `n_jobs`, at most WAKE_MOST_JOBS; 0: nothing. */
void wake_path_run(struct wake_path *path, uint64_t n_jobs, uint64_t iterations_per_ms);

/* `"path": {…}` */
void wake_path_print(const struct wake_path *path, FILE *truth);
