/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * span_figures - how many spans of each lane and name a view has, and how long they were
 *
 * Of the whole run these are its sums; of a range, and of the spans that a thread queued, the
 * stored spans are read. A span at the edge of a range counts, with the time inside of it in
 * total_ns; lengths are those of whole spans.
 *
 * Owner:   arrays lie in the arena of the query.
 * Threads: one.
 * Tests:   span_figures_test.c
 */

#include "query/span_view.h"

struct span_figure {
    uint32_t lane, name;
    bool is_outermost; /* its time counts in sums, see span_view_is_outermost() */
    uint64_t n_spans;
    uint64_t total_ns;  /* inside the range, or the run */
    uint64_t length_ns; /* of whole spans */
    uint64_t min_ns, max_ns;
    uint64_t n_waited, waited_ns;
    uint64_t first_ns, last_ns; /* absolute; 0: not asked for */
    uint64_t states[ORIGIN_STATE_N];
    uint64_t p50_ns, p95_ns, p99_ns; /* 0: not asked for */
};

struct span_figures {
    size_t n_rows;
    struct span_figure *rows; /* by lane and name */
    bool is_partial;          /* of single spans that are gone some figures know nothing */
};

struct span_figures_wishes {
    bool quantiles, times;
};

/* 0 or -ENOMEM. */
int span_figures_compute(const struct span_view *view, const struct span_figures_wishes *wishes,
                         struct span_figures *ret_figures);
