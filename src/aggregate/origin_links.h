/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * origin_links - which stack queued a span, once that can be known
 *
 * A span is told before the samples around its origin are: it is pending until
 * the stream of events is past its origin, and past where its wait began, by
 * the bound. Spans are settled in the order in which they are stored, so that
 * those that are pending are the last ones.
 *
 * Owner, Threads: the aggregator's.
 * Limits:  PENDING_SPANS_MAX; then the oldest is settled by what is known.
 *          A span that says that it was queued after it was read waits no longer
 *          than one that was queued then.
 * Source:  docs/design/0020-target-spans.md
 * Tests:   origin_links_test.c, span_model_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregate/origin_points.h"
#include "aggregate/snapshot.h"
#include "base/hash_table.h"

#define PENDING_SPANS_MAX (1u << 20)
#define ORIGIN_BOUND_LEAST_NS UINT64_C(5000000)
#define ORIGIN_BOUND_PERIODS 3u
#define ORIGIN_USER_PARTS 512u

struct pending_span {
    uint64_t reached_ns; /* what the stream has to be past by the bound */
    uint32_t row;        /* where it is counted, see span_totals.h */
    int32_t origin_pid;
};

struct user_part {
    stack_id stack, user;
};

struct origin_links {
    struct pending_span *pending; /* a ring; they are the last of the stored spans */
    size_t capacity;              /* 0 or a power of two */
    uint64_t first, end;          /* running numbers of the oldest and of the next one */
    uint64_t n_left_pending; /* of a run that is over: what was saved before they were settled */
    struct origin_points points;
    struct hash_table pids; /* of the run's threads; the value says nothing */
    size_t n_threads_seen;  /* … of so many of them */
    uint64_t bound_ns;
    struct distance_figures linked, too_far;
    struct user_part user_parts[ORIGIN_USER_PARTS]; /* by the stack's number: the last ones */
};

struct aggregate;
struct event;

void origin_links_init(struct origin_links *links, uint64_t max_memory_bytes);
void origin_links_release(struct origin_links *links);

/* Where a thread was seen, by a sample or as it left the CPU. */
void origin_links_note(struct aggregate *aggregate, thread_id thread, uint64_t time_ns,
                       stack_id stack);
/* The same of whatever event has just been applied: the bound may grow, a point may be added. */
void origin_links_note_sample(struct aggregate *aggregate, const struct event *event,
                              thread_id thread, stack_id stack);
void origin_links_note_switch_out(struct aggregate *aggregate, const struct event *event,
                                  thread_id thread);
void origin_links_note_seen(struct aggregate *aggregate, const struct event *event);

/* The span that was stored last is pending. */
int origin_links_add(struct aggregate *aggregate, const struct event *event, uint32_t row);

/* Settles what can be, or all. Returns how many could not be counted. */
size_t origin_links_settle(struct aggregate *aggregate, bool is_forced);

/* The distance of a span that is LINKED or TOO_FAR goes into the figures. */
void origin_links_note_distance(struct origin_links *links, const struct stored_span *span);

/* So many of the last stored spans are pending. */
static inline uint64_t origin_links_n_pending(const struct origin_links *links)
{
    return links->end - links->first + links->n_left_pending;
}
size_t origin_links_memory_bytes(const struct origin_links *links);
