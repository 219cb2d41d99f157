/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * span_totals - what the spans of a run sum to
 *
 * Shape:   rows by (lane, name), with their lengths and the longest single
 *          spans; by (lane, name, origin's end, thread, stack); by (lane, name,
 *          thread, stack of a wait). A row is never taken away.
 * Owner:   the caller's memory.
 * Threads: one. Lengths are shared with snapshots, see quantile.h.
 * Limits:  SPAN_SUMS_MAX, ORIGIN_SUMS_MAX, SPAN_WAIT_SUMS_MAX rows; past them
 *          a span is booked in the row of its lane for name 0, "(other)", and
 *          counted in n_others. SPAN_LENGTHS_MAX_BYTES of lengths; past them what
 *          would need more is in no percentile (n_lengths_left_out).
 * Source:  docs/design/0020-target-spans.md
 * Tests:   span_totals_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "aggregate/quantile.h"
#include "aggregate/snapshot.h"
#include "base/hash_table.h"

#define SPAN_SUMS_MAX (1u << 16)
#define ORIGIN_SUMS_MAX (1u << 18)
#define SPAN_WAIT_SUMS_MAX (1u << 16)
#define SPAN_LENGTHS_MAX_BYTES ((size_t)256 << 20)
#define SPAN_ROW_NONE UINT32_MAX

struct longest_span {
    struct stored_span span;
    uint64_t index; /* among all stored spans */
};

/* What is kept of a (lane, name) beside struct span_sums. */
struct span_row {
    struct quantile *lengths;
    struct longest_span *longest; /* longest first, of one length the earlier first */
    uint32_t n_longest, longest_capacity;
    uint64_t least_longest_ns; /* the last of them, where there is no room for more */
    uint32_t latest_origin;    /* the row in origins that was used last */
};

struct span_totals {
    struct span_sums *sums;
    struct span_row *rows; /* beside each of sums */
    size_t n_sums, sums_capacity, rows_capacity;
    struct hash_table sum_ids;
    struct origin_sums *origins;
    size_t n_origins, origins_capacity;
    struct hash_table origin_ids;
    struct span_wait_sums *waits;
    size_t n_waits, waits_capacity;
    struct hash_table wait_ids;
    uint32_t *order; /* rows by (lane, name), see span_totals_order() */
    size_t n_ordered;
    size_t n_longest, longest_bytes, lengths_bytes;
    uint64_t n_others, n_lengths_left_out;
    uint64_t run_start_ns; /* time before it is no time of the run: only lengths have it */
};

void span_totals_init(struct span_totals *totals);
void span_totals_release(struct span_totals *totals);

/* The row of (lane, name), or of (lane, 0) where there is no room, or SPAN_ROW_NONE. */
uint32_t span_totals_find(struct span_totals *totals, uint32_t lane, uint32_t name);

/* Were spans of `name` ever reported on `lane`? */
bool span_totals_has(const struct span_totals *totals, uint32_t lane, uint32_t name);

/* Books a span that was stored as number `index`, for which somebody waited so long (0: nobody). */
void span_totals_count(struct span_totals *totals, uint32_t row, const struct stored_span *span,
                       uint64_t index, uint64_t waited_ns);

/* What became of its origin is known: also where it is one of the longest. 0, -ENOSPC, -ENOMEM. */
int span_totals_count_origin(struct span_totals *totals, uint32_t row,
                             const struct stored_span *span, uint64_t index);

/* A wait of the thread, which began in `stack`, has shared so much time with the span. */
int span_totals_count_wait(struct span_totals *totals, const struct span_wait_sums *wait);

/* Rows that are there already, of a run that is over: each behind the others, unlike all of them.
 * The row, or SPAN_ROW_NONE. */
uint32_t span_totals_append(struct span_totals *totals, const struct span_sums *sums);
/* … and those that can be alike: threads and stacks that nobody knows any more are the same. */
int span_totals_merge_origin(struct span_totals *totals, const struct origin_sums *sums);
int span_totals_merge_wait(struct span_totals *totals, const struct span_wait_sums *sums);
int span_totals_add_length(struct span_totals *totals, uint32_t row, uint64_t length_ns,
                           uint64_t count);
/* Among the longest of its row, if it is. */
void span_totals_keep_longest(struct span_totals *totals, uint32_t row,
                              const struct stored_span *span, uint64_t index);

/* The numbers of all rows by lane, then name; valid until a row is added. NULL: no memory. */
const uint32_t *span_totals_order(struct span_totals *totals);
size_t span_totals_memory_bytes(const struct span_totals *totals);
