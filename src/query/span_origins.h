/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * span_origins - what a view has of origins and of waits, by lane, name, thread and stack
 *
 * Of the whole run these are its sums; of a range the stored spans are read, and of what a thread
 * queued, as long as they are all there. In a range the stack in which a wait began is known where
 * the thread waited for spans of this lane and name in one stack alone.
 *
 * Owner:   arrays lie in the arena of the query.
 * Threads: one.
 * Tests:   query_target_origins_test.c
 */

#include "query/span_view.h"

struct span_origins {
    size_t n_origins;
    struct origin_sums *origins; /* in no order */
    size_t n_waits;
    struct span_wait_sums *waits; /* likewise */
    struct distance_figures linked, too_far;
    bool is_partial; /* single spans are gone, and with them what they alone knew */
};

/* 0 or -ENOMEM. */
int span_origins_compute(const struct span_view *view, struct span_origins *ret_origins);
