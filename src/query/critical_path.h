/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * critical_path - back through time, always on the thread that mattered
 *
 * What a thread did matters to its end. When it was blocked and a thread of
 * the target woke it, what mattered was what that one did, up to the wakeup:
 * the walk goes over to it. So it does from the birth of a thread to who made
 * it. A wait that a timer, an interrupt, a thread outside or nobody known
 * ended is part of the path itself.
 *
 * Shape:   segments from the last to the first: they touch, and cover the
 *          range. Neighbours differ in their threads or in what they did.
 * Owner:   borrows the steps.
 * Threads: any.
 * Limits:  CRITICAL_PATH_MAX_HOPS threads at one instant, then a wait is told
 *          as a wait.
 * Source:  docs/design/0014-critical-path.md
 * Tests:   critical_path_test.c
 */

#include "model/results/why.h"
#include "query/thread_steps.h"

#define CRITICAL_PATH_MAX_HOPS 16u

struct path_segment {
    thread_id thread;
    enum why_kind kind;
    uint64_t start_ns, end_ns;
    const struct stored_wait *wait; /* WAIT: of which it is a part; RUNQ: that had ended before */
    bool is_open;                   /* WAIT: it lasts */
    bool is_cut;                    /* WAIT: it went on behind end_ns */
    /* How the path came here from the thread of the segment before, that is told next. */
    const struct stored_wait *edge; /* a wait that the other thread ended; NULL: none */
    bool is_birth;                  /* the other one made this thread */
    thread_id other;                /* where edge or is_birth is set */
};

/* 0, or what stops the walk. */
typedef int (*path_segment_cb)(void *userdata, const struct path_segment *segment);

/*
 * From steps->to_ns back to from_ns, which may be before steps->from_ns: what
 * was folded away is one segment of WHY_KIND_UNKNOWN. The steps are those of
 * all threads.
 */
int critical_path_walk(const struct thread_steps *steps, thread_id thread, uint64_t from_ns,
                       path_segment_cb on_segment, void *userdata);

/* Who made the thread; THREAD_ID_NONE: not known. */
thread_id critical_path_creator(const struct thread_steps *steps, thread_id thread);
