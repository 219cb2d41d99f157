/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wake_pairs - all wakeups of a view, summed by who woke whom from where
 *
 * Of the whole run the aggregate has kept the sums; a range adds up the waits
 * that ended in it, so wakeups of threads that were not asleep are in the
 * former only.
 *
 * Shape:   rows by waker, wakee and stack of the waker; those whose waker
 *          nobody told are left out.
 * Owner:   rows lie in the arena of the query.
 * Threads: any.
 * Tests:   query_wakers_test.c
 */

#include "query/attribution.h"

struct wake_pairs {
    size_t n_rows;
    struct wake_sums *rows;
};

/* Of wakees that are in the view, and stacks that exclude and focus leave. 0 or -ENOMEM. */
int wake_pairs_compute(const struct query_context *context, const struct attribution *attribution,
                       struct wake_pairs *ret_pairs);

/* The same, of all wakees. */
int wake_pairs_compute_all(const struct query_context *context,
                           const struct attribution *attribution, struct wake_pairs *ret_pairs);
