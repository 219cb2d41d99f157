/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * sched_watch - who leaves the CPU, where it waits, who wakes it
 *
 * Loads the programs on sched_switch and sched_waking. They write records of
 * decode/sched_payload.h into the ring of the CPU that they run on, for the
 * threads of one process and for nobody else's.
 *
 * Owner:   sched_watch_new()/_free(). The programs are at work from
 *          sched_watch_attach() on, until sched_watch_detach() or _free().
 * Threads: one at a time.
 * Limits:  of more than SCHED_MEMOS threads at a time stacks are told again
 *          and again; of more than SCHED_STATES some wakers stay unknown.
 * Source:  docs/design/0012-waits.md
 * Tests:   capture/linux/sched_watch_test.c, sched_watch_target_test.c,
 *          tests/e2e/test_wait_paths.py
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "sources/bpf/walk_maps.h"

/* After so many waits in a row that were shorter, the kernel frames of a stack are taken to be
 * those of last time, and most of the time the user's as well where the registers are. */
#define SCHED_WATCH_SHORT_NS 20000
#define SCHED_WATCH_SHORT_RUN 8

struct sched_watch;

struct sched_watch_config {
    int64_t pid; /* 0: nobody's, until sched_watch_aim() */
    /* Not 0: only while it is the process that began then (/proc/PID/stat, hundredths of a second
     * since boot) and its owner may look into it. */
    uint64_t start_ticks;
    uint32_t uid;    /* with start_ticks: real, effective and saved ids have to be this; 0: any */
    uint32_t n_cpus; /* numbers go up to this minus 1 */
    uint32_t ring_bytes;  /* per CPU: a power of two of whole pages */
    bool follow_children; /* processes that it forks from now on, and those */
    bool no_kernel;
    uint32_t max_stack_bytes; /* behind a walk that cannot finish; more while there is room */
    /* Of a kernel_walk, borrowed; -1: there are no tables, every stack is a copy. */
    int control_fd, ranges_fd, tables_fd;
};

/* 0, or the negative errno of a kernel that cannot or does not want to; *ret_step says where.
 * -EOPNOTSUPP: there is no program for this architecture. */
int sched_watch_new(const struct sched_watch_config *config, struct sched_watch **ret_watch,
                    const char **ret_step);
struct sched_watch *sched_watch_free(struct sched_watch *watch);

/* Before it is attached: whose switches it tells, and how much of them. What it was made with
 * stays: CPUs, rings, tables, whether it follows children. 0 or a negative errno. */
int sched_watch_aim(struct sched_watch *watch, const struct sched_watch_config *config);
DEFINE_FREEP(sched_watch);

/* The ring (BPF_MAP_TYPE_RINGBUF) of a CPU, and how many records found no room in it: an array of
 * 64-bit numbers by CPU. Borrowed. */
int sched_watch_ring(const struct sched_watch *watch, uint32_t cpu);
int sched_watch_lost(const struct sched_watch *watch);

/* So far, of all CPUs; any thread. */
void sched_watch_get_counts(const struct sched_watch *watch, struct sched_counts *ret_counts);

int sched_watch_attach(struct sched_watch *watch);
void sched_watch_detach(struct sched_watch *watch);
