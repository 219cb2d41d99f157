/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * span_view - which of the spans that programs reported a view is about
 *
 * Shape:   a tid of the view that is a lane's chooses its spans, one of a thread those that it
 *          queued. A span is on a path (lane → outer names → its name): exclude and focus look at
 *          each of these names as they look at the frames of a stack.
 * Owner:   arrays lie in the arena of the query.
 * Threads: any.
 * Source:  docs/design/0020-target-spans.md
 * Tests:   span_view_test.c
 */

#include "base/hash_table.h"
#include "query/query.h"
#include "query/stack_filter.h"
#include "query/view_range.h"

/* Flag of a name beside those of stacks: not the lane, or name, that was asked for. */
enum { SPAN_OTHER = 4 };

struct span_view {
    const struct query_context *context;
    struct view_range range;
    bool has_range;    /* of less than the whole run */
    bool has_patterns; /* some lane or name is not kept, or counts as if it were outermost */
    bool has_threads;  /* spans are chosen by who queued them */
    const uint8_t *lane_is_all; /* by lane: the tids choose all its spans */
    const uint8_t *lane_flags;  /* by lane */
    const uint8_t *name_flags;  /* by name, 0 … n_span_names */
    const uint8_t *stack_flags; /* by stack_id; NULL: stacks of origins are not looked at */
    size_t n_outer;
    const uint64_t *outer; /* (lane, name) of its spans that others are inside of, in order */
};

/* 0, -ENOMEM, or -EINVAL with what makes no sense. */
int span_view_make(const struct query_context *context, const struct query_span_choice *choice,
                   struct span_view *ret_view, struct error *reterr_error);
/* exclude and focus look at the stacks of origins, too. As span_view_make(). */
int span_view_look_at_stacks(struct span_view *view, struct error *reterr_error);

/* Do the patterns leave spans of this name on this lane? `stack` is their origin's. */
bool span_view_keeps(const struct span_view *view, uint32_t lane, uint32_t name, stack_id stack);

/*
 * Does the time of these spans count in a sum? Not where a name that they are inside of is kept and
 * has spans in this view, on this lane: what began before the recording, has not ended, lies
 * outside of the range or was queued by somebody else takes nobody's time away.
 */
bool span_view_is_outermost(const struct span_view *view, uint32_t lane, uint32_t name,
                            stack_id stack);

/* Do the tids choose spans on `lane` that `tid` queued (0: nobody knows who)? */
bool span_view_has_origin(const struct span_view *view, uint32_t lane, int64_t tid);
int64_t span_view_tid(const struct span_view *view, thread_id thread); /* 0 of THREAD_ID_NONE */

/* Threads by tid, the last one that had it; for a table that the caller has made. 0 or -ENOMEM. */
int span_view_number_threads(const struct snapshot *snapshot, struct hash_table *threads);

/* Is some of it in the range? One of no length has to be in it. */
bool span_view_reaches(const struct span_view *view, const struct stored_span *span);

/* Is this one of them? */
bool span_view_has(const struct span_view *view, const struct stored_span *span);

/* How much of [start_ns, end_ns) lies in the range; without one, behind the start of the run. */
uint64_t span_view_clip(const struct span_view *view, uint64_t start_ns, uint64_t end_ns);

/* Since the start of the run; negative before it. */
int64_t span_view_relative_ns(const struct snapshot *snapshot, uint64_t time_ns);

/* For how long somebody waited for the span, while it ran, in the range; 0 where nobody told. */
uint64_t span_view_waited_ns(const struct span_view *view, const struct stored_span *span);

/* Are stored spans of this view gone (--max-memory, --ring)? */
bool span_view_is_partial(const struct span_view *view);

/* 0, or what ends the walk. */
typedef int (*span_view_cb)(void *userdata, const struct stored_span *span);

/* All stored spans of the view, in the order in which they were read. */
int span_view_each(const struct span_view *view, span_view_cb on_span, void *userdata);
/* Only those that no origin_sums count yet. */
int span_view_each_pending(const struct span_view *view, span_view_cb on_span, void *userdata);
