/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * span_log - the single spans of a run, and what few of them tell beside
 *
 * Shape:   spans in the order in which they were read; the origins of the last
 *          ones are not known yet (origin_links.h). Details lie apart: those that
 *          have counters or attachments in one array, smaller ones in another.
 * Owner:   the caller's memory.
 * Threads: one writer; readers of what was published to them, but for the
 *          origins of spans that were pending at that moment.
 * Limits:  SPANS_STORED_MAX spans at once, also where memory is not bounded:
 *          1 GiB; then the oldest go. DETAILS_MAX and LARGE_DETAILS_MAX details;
 *          what is one too many is left out (n_details_left_out).
 * Source:  docs/design/0020-target-spans.md
 * Tests:   span_log_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregate/chunked.h"
#include "aggregate/snapshot.h"

#define SPANS_STORED_MAX (UINT64_C(1) << 24)
#define DETAILS_MAX (UINT64_C(1) << 24)
#define LARGE_DETAILS_MAX (UINT64_C(1) << 20)
#define KEPT_DETAILS_MAX (UINT64_C(1) << 16)

enum details_store {
    DETAILS_SMALL, /* without counters and attachments */
    DETAILS_LARGE,
    DETAILS_KEPT, /* of the longest spans, which are gone from the log */
    DETAILS_STORE_N
};

struct span_log {
    struct chunked spans; /* struct stored_span */
    struct chunked details[DETAILS_STORE_N];
    uint64_t n_details_left_out;
    uint64_t folded_until_ns;
    uint64_t oldest_first, oldest_end_ns; /* of the oldest chunk: see span_log_oldest_end_ns() */
};

int span_log_init(struct span_log *log);
void span_log_release(struct span_log *log);

/* Stores the span behind the others with its details (may be NULL); span->details is set. 0 or
 * -ENOSPC: it is not stored. */
int span_log_store(struct span_log *log, struct stored_span *span,
                   const struct event_span_details *details);

static inline struct stored_span *span_log_at(const struct span_log *log, uint64_t index)
{
    return chunked_get(&log->spans, index);
}

/* By stored_span.details that is not STORED_SPAN_NO_DETAILS. Of counters and attachments only
 * those are there that are counted. */
const struct event_span_details *span_log_details(const struct span_log *log, uint32_t details);

/* When the latest span of the oldest chunk ended; UINT64_MAX where that chunk has to stay: it is
 * the newest, or spans from first_pending on are in it. */
uint64_t span_log_oldest_end_ns(struct span_log *log, uint64_t first_pending);

/* Whether the oldest chunk of these details is of spans that are gone. */
bool span_log_has_old_details(const struct span_log *log, enum details_store store);

/* Details on their own, of a run that is over: their number, or STORED_SPAN_NO_DETAILS. The span
 * that has them is named later. */
uint32_t span_log_add_details(struct span_log *log, const struct event_span_details *details);
void span_log_own_details(struct span_log *log, uint32_t details, uint64_t span);

/* How long the wait that is told and the span lasted both, in the run. */
static inline uint64_t span_waited_ns(const struct stored_span *span,
                                      const struct event_span_details *details,
                                      uint64_t run_start_ns)
{
    uint64_t from_ns =
        details->wait.time_ns > span->start_ns ? details->wait.time_ns : span->start_ns;
    from_ns = from_ns > run_start_ns ? from_ns : run_start_ns;
    uint64_t to_ns = details->wait_end_ns < span->end_ns ? details->wait_end_ns : span->end_ns;
    return details->wait.tid != 0 && to_ns > from_ns ? to_ns - from_ns : 0;
}

/* Puts details away for good; returns their new number, STORED_SPAN_NO_DETAILS: no room. */
uint32_t span_log_keep_details(struct span_log *log, const struct event_span_details *details);
static inline bool span_log_has_kept(uint32_t details)
{
    return details != STORED_SPAN_NO_DETAILS && details >> 30 == DETAILS_KEPT;
}
size_t span_log_memory_bytes(const struct span_log *log);
