/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * corpus - what the parts of stax-corpus share: series of spans with their truth
 *
 * A series is all spans of one name on one lane; whoever reports them notes
 * each length, so that counts, totals and percentiles can be checked.
 *
 * Owner:   static memory; lengths are freed with the program.
 * Threads: each series belongs to the thread that reports it.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include <stax/target.h>

#include "burn.h"

/* Functions that truth names: they are to be found in stacks. */
#define KEPT __attribute__((noinline))

struct series {
    const char *lane_name, *name, *queued_by; /* queued_by: the function; NULL: no good origin */
    const char *outer;                        /* the name that it is inside of; NULL: none */
    stax_lane lane;
    stax_name_id id;
    uint64_t *lengths_ns;
    size_t n_spans, capacity;
    uint64_t waited_ns, n_waits;
};

/* Names it; before the first span. */
void series_begin(struct series *series, stax_lane lane);
/* One was reported. Nothing is noted while nobody records. */
void series_note(struct series *series, uint64_t length_ns);
/* Reports it and notes it. */
void series_report(struct series *series, uint64_t start_ns, uint64_t end_ns, stax_origin origin);
/* {"lane": …, "name": …, "count": …, "total_ns": …, "p50_ns": … }, after what stands before. */
void series_print(FILE *truth, const struct series *series, const char *before);

void corpus_hot_checksum(uint64_t n_steps);
void corpus_hot_hash(uint64_t n_steps);
void *corpus_hot(void *argument);
void *corpus_sleeper(void *argument);
void *corpus_holder(void *argument);
void *corpus_wait_for_lock(void *argument);
void corpus_submit_decode(void);
void corpus_submit_encode(void);
void *corpus_submitter(void *argument);
void *corpus_executor(void *argument);
stax_origin corpus_queue_kernels(void);
void *corpus_queueing(void *argument);
stax_origin corpus_wait_for_copy(uint64_t end_ns);
void *corpus_waiting(void *argument);
void *corpus_long_sleeper(void *argument);
void *corpus_short_lived(void *argument);
void *corpus_reporter(void *argument);

/* Whether the program goes on. */
extern atomic_bool corpus_goes_on;
extern uint64_t corpus_iterations_per_ms;

void must(int is_done, const char *what);
void corpus_name_thread(const char *name);
void corpus_sleep_ns(uint64_t duration_ns);
/* Burns at least so much wall time where it is called. */
#define CORPUS_BURN_NS(duration_ns)                                                                \
    for (uint64_t x = 1, until_ns = stax_now_ns() + (duration_ns); stax_now_ns() < until_ns;) {    \
        for (int step = 0; step < 200; step++) {                                                   \
            BURN_STEP(x, 3);                                                                       \
        }                                                                                          \
    }

/* The same of CPU time, without a call: whatever is sampled meanwhile was sampled where it is used.
 */
#define CORPUS_BURN_CPU_MS(duration_ms)                                                            \
    for (uint64_t x = 1, left = (duration_ms)*corpus_iterations_per_ms; left > 0; left--) {        \
        BURN_STEP(x, 3);                                                                           \
    }

/* Each part: start its threads, end them (after corpus_goes_on is false), print its series. */
void corpus_cpu_start(void);
void corpus_cpu_end(void);
void corpus_cpu_print(FILE *truth);
void corpus_executor_start(void);
void corpus_executor_end(void);
void corpus_executor_print(FILE *truth);
void corpus_gpu_start(void);
void corpus_gpu_end(void);
void corpus_gpu_print(FILE *truth);
void corpus_origins_start(void);
void corpus_origins_end(void);
void corpus_origins_print(FILE *truth);
