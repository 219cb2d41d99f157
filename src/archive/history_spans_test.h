/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * history_spans_test - lanes and spans by chance, and what it takes to see that
 * those of two runs are the same
 *
 * Owner:   the caller's aggregate. Threads: one.
 */

#include "aggregate/span_test.h"

/* ---- spans by chance ---- */

struct spans_world {
    struct aggregate *aggregate;
    struct random_life *life;
    uint32_t n_lanes, n_names;
};

static inline uint64_t spans_below(struct spans_world *world, uint64_t bound)
{
    return random_life_below(world->life, bound);
}

/* Names below names, and equal ones on several lanes. */
static inline void spans_tell_more(struct spans_world *world)
{
    char text[64];
    if (world->n_lanes < 5) {
        snprintf(text, sizeof(text), "lane %u", world->n_lanes);
        tell(world->aggregate,
             (struct event){.kind = EVENT_LANE,
                            .pid = TEST_PID + (int64_t)spans_below(world, 2),
                            .lane = {.lane = world->n_lanes,
                                     .kind = (uint8_t)spans_below(world, LANE_KIND_N),
                                     .name = text}});
        world->n_lanes++;
    }
    if (world->n_names < 30) {
        uint32_t parent = (uint32_t)spans_below(world, world->n_names + 1);
        snprintf(text, sizeof(text), "work_%u", world->n_names / 2);
        tell_span_name(world->aggregate, ++world->n_names, parent, text);
    }
}

static inline struct event_origin spans_origin(struct spans_world *world, uint64_t about_ns)
{
    uint64_t choice = spans_below(world, 12);
    int64_t tid = TEST_PID + (int64_t)spans_below(world, world->life->n_threads);
    tid = choice == 0 ? 0 : tid;
    tid = choice == 1 ? 99999 : tid;
    tid = choice == 2 ? LANE_TID_FIRST + 1 : tid;
    struct event_origin origin = test_origin(tid, about_ns - spans_below(world, 3 * TEST_MS));
    origin.pid += choice == 3 ? 77 : 0;
    origin.time_ns = choice == 4 ? 5 : origin.time_ns;
    return tid == 0 ? (struct event_origin){0} : origin;
}

static inline void spans_fill_details(struct spans_world *world, const struct event_span *span,
                                      struct event_span_details *details)
{
    *details = (struct event_span_details){
        .queue_id = spans_below(world, 4),
        .command_buffer_id = spans_below(world, 1000),
        .dispatch_id = spans_below(world, UINT64_MAX),
        .wait = spans_origin(world, span->start_ns),
        .completion = spans_origin(world, span->end_ns),
        .source_file = (uint32_t)spans_below(world, world->n_names + 1),
        .source_line = (uint32_t)spans_below(world, 999),
        .n_counters = spans_below(world, 2) ? (uint32_t)spans_below(world, 16) : 0,
        .n_attachments = spans_below(world, 3) ? 0 : (uint32_t)spans_below(world, 16),
    };
    details->wait_end_ns = details->wait.time_ns + spans_below(world, TEST_MS);
    for (uint32_t i = 0; i < details->n_counters; i++) {
        details->counters[i].name = 1 + (uint32_t)spans_below(world, world->n_names);
        details->counters[i].unit = (uint32_t)spans_below(world, world->n_names);
        details->counters[i].value = (double)spans_below(world, 1000) / 7 - 50;
    }
    for (uint32_t i = 0; i < details->n_attachments; i++) {
        struct event_span_attachment *attachment = &details->attachments[i];
        attachment->label = 1 + (uint32_t)spans_below(world, world->n_names);
        attachment->n_dimensions = (uint32_t)spans_below(world, LIMIT_SPAN_DIMENSIONS + 1);
        attachment->size_bytes = spans_below(world, UINT64_C(1) << 40);
        for (uint32_t k = 0; k < attachment->n_dimensions; k++) {
            attachment->dimensions[k] = (uint32_t)spans_below(world, 4096);
        }
    }
}

static inline void spans_step(struct spans_world *world)
{
    uint64_t now_ns = world->life->now_ns;
    if (world->n_lanes == 0 || spans_below(world, 8) == 0) {
        spans_tell_more(world);
    }
    struct event_span_details details;
    struct event_span span = {
        .lane = (uint32_t)spans_below(world, world->n_lanes),
        .name = 1 + (uint32_t)spans_below(world, world->n_names),
        .start_ns = now_ns - spans_below(world, now_ns / 4 + 1),
        .end_ns = now_ns,
    };
    span.origin = spans_origin(world, span.start_ns);
    if (spans_below(world, 3) == 0) {
        spans_fill_details(world, &span, &details);
        span.details = &details;
    }
    tell(world->aggregate, (struct event){.kind = EVENT_SPAN,
                                          .pid = TEST_PID,
                                          .tid = TEST_PID,
                                          .time_ns = now_ns,
                                          .span = &span});
    if (spans_below(world, 40) == 0) {
        tell(world->aggregate,
             (struct event){.kind = EVENT_SPANS_LOST,
                            .time_ns = now_ns,
                            .pid = TEST_PID,
                            .spans_lost = {.cause = (enum event_spans_lost_cause)spans_below(
                                               world, EVENT_SPANS_LOST_CAUSE_N),
                                           .count = 2}});
    }
}

/* ---- two runs whose spans have to be the same ---- */

static inline void assert_same_details(const struct event_span_details *a,
                                       const struct event_span_details *b)
{
    assert_int_equal(a->queue_id, b->queue_id);
    assert_int_equal(a->command_buffer_id, b->command_buffer_id);
    assert_int_equal(a->dispatch_id, b->dispatch_id);
    assert_memory_equal(&a->wait, &b->wait, sizeof(a->wait));
    assert_int_equal(a->wait_end_ns, b->wait_end_ns);
    assert_memory_equal(&a->completion, &b->completion, sizeof(a->completion));
    assert_int_equal(a->source_file, b->source_file);
    assert_int_equal(a->source_function, b->source_function);
    assert_int_equal(a->source_line, b->source_line);
    assert_int_equal(a->n_counters, b->n_counters);
    assert_int_equal(a->n_attachments, b->n_attachments);
    for (uint32_t i = 0; i < a->n_counters; i++) {
        assert_memory_equal(&a->counters[i], &b->counters[i], sizeof(a->counters[i]));
    }
    for (uint32_t i = 0; i < a->n_attachments; i++) {
        assert_memory_equal(&a->attachments[i], &b->attachments[i], sizeof(a->attachments[i]));
    }
}

static inline void assert_same_span(const struct snapshot *one, const struct stored_span *a,
                                    const struct snapshot *other, const struct stored_span *b)
{
    assert_int_equal(a->start_ns, b->start_ns);
    assert_int_equal(a->end_ns, b->end_ns);
    assert_int_equal(a->origin_ns, b->origin_ns);
    assert_int_equal(a->origin_tid, b->origin_tid);
    assert_int_equal(a->lane, b->lane);
    assert_int_equal(a->name, b->name);
    assert_int_equal(a->origin_thread, b->origin_thread);
    assert_int_equal(a->origin_stack, b->origin_stack);
    assert_int_equal(a->distance_ns, b->distance_ns);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->details == STORED_SPAN_NO_DETAILS, b->details == STORED_SPAN_NO_DETAILS);
    if (a->details != STORED_SPAN_NO_DETAILS) {
        assert_same_details(snapshot_span_details(one, a->details),
                            snapshot_span_details(other, b->details));
    }
}

static inline void assert_same_lanes(const struct snapshot *one, const struct snapshot *other)
{
    assert_int_equal(one->n_lanes, other->n_lanes);
    for (uint32_t i = 0; i < one->n_lanes; i++) {
        const struct lane_totals *a = &one->lanes[i], *b = &other->lanes[i];
        assert_int_equal(a->pid, b->pid);
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->kind, b->kind);
        assert_int_equal(a->n_spans, b->n_spans);
        assert_int_equal(a->total_ns, b->total_ns);
        assert_int_equal(a->first_ns, b->first_ns);
        assert_int_equal(a->last_ns, b->last_ns);
        assert_memory_equal(a->states, b->states, sizeof(a->states));
    }
    assert_int_equal(one->n_span_names, other->n_span_names);
    for (uint32_t i = 1; i <= one->n_span_names; i++) {
        assert_string_equal(snapshot_span_name(one, i).text, snapshot_span_name(other, i).text);
        assert_int_equal(snapshot_span_name(one, i).parent, snapshot_span_name(other, i).parent);
    }
}

static inline void assert_same_span_sums(const struct snapshot *one, const struct snapshot *other)
{
    assert_int_equal(one->n_span_sums, other->n_span_sums);
    for (size_t i = 0; i < one->n_span_sums; i++) {
        assert_memory_equal(&one->span_sums[i], &other->span_sums[i], sizeof(one->span_sums[i]));
        for (unsigned int part = 0; part <= 100; part++) {
            assert_int_equal(snapshot_span_quantile_ns(one, i, part / 100.0),
                             snapshot_span_quantile_ns(other, i, part / 100.0));
        }
    }
    assert_int_equal(one->n_origin_sums, other->n_origin_sums);
    for (size_t i = 0; i < one->n_origin_sums; i++) {
        const struct origin_sums *a = &one->origin_sums[i], *b = &other->origin_sums[i];
        assert_int_equal(a->lane, b->lane);
        assert_int_equal(a->name, b->name);
        assert_int_equal(a->thread, b->thread);
        assert_int_equal(a->stack, b->stack);
        assert_int_equal(a->state, b->state);
        assert_int_equal(a->n_spans, b->n_spans);
        assert_int_equal(a->total_ns, b->total_ns);
    }
    assert_int_equal(one->n_span_wait_sums, other->n_span_wait_sums);
    for (size_t i = 0; i < one->n_span_wait_sums; i++) {
        assert_memory_equal(&one->span_wait_sums[i], &other->span_wait_sums[i],
                            sizeof(one->span_wait_sums[i]));
    }
}

static inline void assert_same_spans(const struct snapshot *one, const struct snapshot *other)
{
    assert_same_lanes(one, other);
    assert_same_span_sums(one, other);
    assert_int_equal(one->n_longest_spans, other->n_longest_spans);
    for (size_t i = 0; i < one->n_longest_spans; i++) {
        assert_same_span(one, &one->longest_spans[i], other, &other->longest_spans[i]);
    }
    assert_int_equal(one->n_spans, other->n_spans);
    assert_int_equal(one->first_span, other->first_span);
    assert_int_equal(one->n_pending_spans, other->n_pending_spans);
    assert_int_equal(one->spans_folded_until_ns, other->spans_folded_until_ns);
    for (uint64_t i = one->first_span; i < one->n_spans; i++) {
        struct stored_span a = snapshot_span(one, i), b = snapshot_span(other, i);
        assert_same_span(one, &a, other, &b);
    }
    assert_memory_equal(&one->linked_distance, &other->linked_distance,
                        sizeof(one->linked_distance));
    assert_memory_equal(&one->too_far_distance, &other->too_far_distance,
                        sizeof(one->too_far_distance));
    assert_int_equal(one->origin_bound_ns, other->origin_bound_ns);
    assert_int_equal(one->n_span_details_full, other->n_span_details_full);
    assert_memory_equal(one->spans_lost, other->spans_lost, sizeof(one->spans_lost));
}

/* ---- whatever was read ---- */

static inline void assert_sound_details(const struct snapshot *snapshot,
                                        const struct stored_span *span)
{
    if (span->details == STORED_SPAN_NO_DETAILS) {
        return;
    }
    const struct event_span_details *details = snapshot_span_details(snapshot, span->details);
    uint32_t n_names = snapshot->n_span_names;
    assert_true(details->source_file <= n_names && details->source_function <= n_names);
    assert_true(details->n_counters <= LIMIT_SPAN_DETAILS);
    assert_true(details->n_attachments <= LIMIT_SPAN_DETAILS);
    for (uint32_t i = 0; i < details->n_counters; i++) {
        assert_true(details->counters[i].name <= n_names && details->counters[i].unit <= n_names);
    }
    for (uint32_t i = 0; i < details->n_attachments; i++) {
        assert_true(details->attachments[i].label <= n_names);
        assert_true(details->attachments[i].n_dimensions <= LIMIT_SPAN_DIMENSIONS);
    }
}

static inline void assert_sound_span(const struct snapshot *snapshot,
                                     const struct stored_span *span)
{
    assert_true(span->start_ns <= span->end_ns && span->end_ns <= INT64_MAX);
    assert_true(span->lane < snapshot->n_lanes && span->name <= snapshot->n_span_names);
    assert_true(span->state < ORIGIN_STATE_N && span->origin_stack < snapshot->n_stacks);
    assert_true(span->origin_thread < snapshot->n_threads || span->origin_thread == THREAD_ID_NONE);
    assert_sound_details(snapshot, span);
}

static inline void assert_sound_spans(const struct snapshot *snapshot)
{
    for (uint32_t i = 1; i <= snapshot->n_span_names; i++) {
        uint32_t depth = 0;
        assert_true(snapshot_span_name(snapshot, i).parent < i);
        for (uint32_t at = i; at != 0; at = snapshot_span_name(snapshot, at).parent) {
            assert_true(++depth <= LIMIT_SPAN_DEPTH + 1);
        }
    }
    for (size_t i = 0; i < snapshot->n_span_sums; i++) {
        const struct span_sums *sums = &snapshot->span_sums[i];
        assert_true(sums->lane < snapshot->n_lanes && sums->name <= snapshot->n_span_names);
        (void)snapshot_span_quantile_ns(snapshot, i, 0.95);
    }
    for (size_t i = 0; i < snapshot->n_origin_sums; i++) {
        const struct origin_sums *sums = &snapshot->origin_sums[i];
        assert_true(sums->lane < snapshot->n_lanes && sums->name <= snapshot->n_span_names);
        assert_true(sums->thread < snapshot->n_threads || sums->thread == THREAD_ID_NONE);
        assert_true(sums->stack < snapshot->n_stacks && sums->state < ORIGIN_STATE_N);
    }
    for (size_t i = 0; i < snapshot->n_span_wait_sums; i++) {
        const struct span_wait_sums *sums = &snapshot->span_wait_sums[i];
        assert_true(sums->lane < snapshot->n_lanes && sums->name <= snapshot->n_span_names);
        assert_true(sums->thread < snapshot->n_threads || sums->thread == THREAD_ID_NONE);
        assert_true(sums->stack < snapshot->n_stacks);
    }
    for (size_t i = 0; i < snapshot->n_longest_spans; i++) {
        assert_sound_span(snapshot, &snapshot->longest_spans[i]);
    }
    for (uint64_t i = snapshot->first_span; i < snapshot->n_spans; i++) {
        struct stored_span span = snapshot_span(snapshot, i);
        assert_sound_span(snapshot, &span);
    }
}
