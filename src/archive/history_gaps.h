/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * history_gaps - the times between the slices of a thread, which are mostly those of its waits
 *
 * A wait begins where a slice has ended and ends where the next one begins: it
 * is told by that gap. Writer and reader make the gaps of the same slices.
 *
 * Shape:   per thread a queue of gaps, in their order. A wait takes one of the
 *          next ones; those before it are gone then.
 * Owner:   the caller's memory; history_gaps_release().
 * Threads: one.
 * Limits:  2^32 - 1 gaps; a wait looks at the next HISTORY_GAPS_AHEAD.
 * Tests:   history_gaps_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregate/snapshot.h"
#include "base/cleanup.h"

#define HISTORY_GAPS_AHEAD 250u

struct history_gap {
    uint64_t start_ns, end_ns;
    uint32_t next; /* of the same thread: number + 1; 0: none so far */
};

struct history_gap_queue {
    uint64_t slice_end_ns; /* of its newest slice; at first when the thread began */
    uint32_t first, last;  /* numbers + 1; 0: none */
};

struct history_gaps {
    struct history_gap *gaps;
    size_t n_gaps, capacity;
    struct history_gap_queue *threads;
    size_t n_threads, threads_capacity;
};

void history_gaps_release(struct history_gaps *gaps);
DEFINE_RELEASEP(history_gaps);

/* The next thread, from 0 on. 0 or -ENOMEM. */
int history_gaps_add_thread(struct history_gaps *gaps, uint64_t start_ns);
/* Slices of each thread in their order. 0 or -ENOMEM. */
int history_gaps_add_slice(struct history_gaps *gaps, const struct stored_slice *slice);

/* Which of the thread's next gaps the wait is, from 1 on, and takes it; 0: none of them. */
uint8_t history_gaps_tell(struct history_gaps *gaps, const struct stored_wait *wait);
/* Takes the number-th (not 0) of the thread's next gaps. False: there is none. */
bool history_gaps_take(struct history_gaps *gaps, thread_id thread, uint8_t number,
                       struct history_gap *ret_gap);
