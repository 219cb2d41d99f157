/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * thread_steps - what one thread did, step by step, back from any instant
 *
 * Slices and waits are stored in the order of their ends, those of all threads
 * mixed. Who follows a single thread needs its own alone: they are sorted by
 * thread once, for a range, and then walked backwards or searched.
 *
 * Shape:   steps of a thread touch each other, never overlap, and cover its
 *          life inside the range. Their sums are those of thread_range.h.
 * Owner:   the arena of the query; 4 bytes for each slice in the range, 8 for
 *          each wait. What they stand for is the snapshot's.
 * Threads: any.
 * Limits:  UINT32_MAX slices and as many waits in one range, else -E2BIG.
 * Source:  docs/design/0014-critical-path.md
 * Tests:   thread_steps_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregate/snapshot.h"
#include "base/arena.h"

enum thread_step_kind {
    THREAD_STEP_RUN,
    THREAD_STEP_RUNQ, /* waited for a CPU */
    THREAD_STEP_WAIT, /* blocked */
};

struct thread_step {
    enum thread_step_kind kind;
    uint64_t start_ns, end_ns;
    /* WAIT: of which it is a part; RUNQ: that had ended before. NULL: nothing is known of it. */
    const struct stored_wait *wait;
    bool is_open; /* WAIT: it lasts; the thread's totals know what there is to know */
    bool is_cut;  /* WAIT: it went on when the walk began, nobody knows here who ended it */
};

/* Where in the arrays of thread_steps those of one thread are, in the order of time. */
struct thread_numbers {
    uint32_t first_slice, n_slices;
    uint32_t first_wait, n_waits;
};

struct thread_steps {
    const struct snapshot *snapshot;
    uint64_t from_ns, to_ns; /* what was asked for, without what has been folded away */
    uint64_t slice_base;
    struct thread_numbers *threads;
    uint32_t *slices;
    const struct stored_wait **waits;
};

/* 0, -ENOMEM or -E2BIG. is_wanted: by thread_id; NULL: all. */
int thread_steps_build(const struct snapshot *snapshot, uint64_t from_ns, uint64_t to_ns,
                       const bool *is_wanted, struct arena *arena, struct thread_steps *ret_steps);

/*
 * When the wait ended, and when the thread was woken: a stored wait is as it was
 * recorded, the slice behind it begins earlier (aggregate/switch_lag.h).
 */
static inline uint64_t thread_steps_end_of(const struct snapshot *snapshot,
                                           const struct stored_wait *wait)
{
    uint64_t length_ns = wait->end_ns - wait->start_ns;
    uint64_t lag_ns = snapshot->switch_lag_ns;
    return wait->end_ns - (lag_ns < length_ns ? lag_ns : length_ns);
}

static inline uint64_t thread_steps_wake_of(const struct snapshot *snapshot,
                                            const struct stored_wait *wait)
{
    uint64_t end_ns = thread_steps_end_of(snapshot, wait);
    return wait->wake_ns < end_ns ? wait->wake_ns : end_ns;
}

/* A place in the life of one thread. */
struct thread_walk {
    const struct thread_steps *steps;
    thread_id thread;
    uint64_t now_ns;
    uint32_t n_slices, n_waits; /* of the thread, that begin before now_ns */
};

/* `time_ns` is cut to the range and to the thread's life. */
struct thread_walk thread_walk_from(const struct thread_steps *steps, thread_id thread,
                                    uint64_t time_ns);

/* The step, or the part of it, that ends at now_ns; goes to where it starts. False: there is none.
 */
bool thread_walk_back(struct thread_walk *walk, struct thread_step *ret_step);
