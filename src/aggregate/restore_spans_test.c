/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "aggregate/aggregate_internal.h"
#include "aggregate/restore.h"
#include "aggregate/span_test.h"

#define START_NS (1000 * TEST_MS)
#define END_NS (START_NS + 1000 * TEST_MS)

static struct restore *begin(const struct aggregate_config *config, struct restore_run run)
{
    struct restore *restore = NULL;
    run.start_ns = START_NS;
    run.now_ns = END_NS;
    assert_int_equal(restore_begin(config, &run, &restore), 0);
    return restore;
}

/* One lane, two names, the second inside of the first. */
static struct restore *begin_with_lane(const struct aggregate_config *config)
{
    struct restore *restore = begin(config, (struct restore_run){0});
    const struct lane_totals lane = {.pid = 7, .name = "lane", .kind = LANE_KIND_IO};
    const struct span_name names[] = {{.text = "outer"}, {.parent = 1, .text = "inner"}};
    assert_int_equal(restore_add_span_name(restore, &names[0]), 0);
    assert_int_equal(restore_add_span_name(restore, &names[1]), 0);
    assert_int_equal(restore_add_lane(restore, &lane), 0);
    return restore;
}

static struct snapshot *end(struct restore *restore, struct aggregate **ret_aggregate)
{
    *ret_aggregate = restore_end(restore);
    restore_free(restore);
    struct snapshot *snapshot = aggregate_snapshot(*ret_aggregate, 0);
    assert_non_null(snapshot);
    return snapshot;
}

/* ---- what is put back is what was taken out ---- */

static struct aggregate *play(void)
{
    const struct aggregate_config config = {0};
    struct aggregate *aggregate = NULL;
    const uint64_t ips[] = {0x10001};
    assert_int_equal(aggregate_new(&config, &aggregate), 0);
    aggregate_begin(aggregate, START_NS);
    tell_lane(aggregate, 0, "lane");
    tell_lane(aggregate, 1, "idle");
    tell_span_name(aggregate, 1, 0, "outer");
    tell_span_name(aggregate, 2, 1, "inner");
    tell_mapped(aggregate, START_NS, 0x10000, 0x20000, 0, "/bin/play");
    for (uint64_t i = 0; i < 500; i++) {
        uint64_t now_ns = START_NS + i * TEST_MS;
        struct event_span_details details = {.dispatch_id = i, .n_counters = (uint32_t)(i % 3)};
        details.wait = test_origin(TEST_PID, now_ns - 10);
        details.wait_end_ns = now_ns;
        const struct event_span span = {.name = 1 + (uint32_t)(i % 2),
                                        .start_ns = now_ns - i * 31 % 5000,
                                        .end_ns = now_ns,
                                        .origin = test_origin(TEST_PID, now_ns - i * 40000),
                                        .details = i % 5 == 0 ? &details : NULL};
        tell_sample(aggregate, now_ns, TEST_PID, ips, 1);
        tell_span(aggregate, span);
    }
    tell(aggregate, (struct event){.kind = EVENT_SPANS_LOST, .spans_lost = {.count = 3}});
    return aggregate;
}

/* Images, threads and stacks of it are told by their numbers alone. */
static void put_tables(struct restore *restore, const struct snapshot *from)
{
    for (image_id id = IMAGE_ID_FIRST; id < from->n_images; id++) {
        assert_int_equal(restore_add_image(restore, snapshot_image(from, id)), 0);
    }
    for (frame_id id = 0; id < from->n_frames; id++) {
        assert_int_equal(restore_add_frame(restore, snapshot_frame(from, id)), 0);
    }
    for (stack_id id = 1; id < from->n_stacks; id++) {
        assert_int_equal(restore_add_stack(restore, snapshot_stack(from, id)), 0);
    }
    for (size_t i = 0; i < from->n_threads; i++) {
        assert_int_equal(restore_add_thread(restore, &from->threads[i]), 0);
    }
    for (uint32_t i = 1; i <= from->n_span_names; i++) {
        const struct span_name name = snapshot_span_name(from, i);
        assert_int_equal(restore_add_span_name(restore, &name), 0);
    }
    for (uint32_t i = 0; i < from->n_lanes; i++) {
        assert_int_equal(restore_add_lane(restore, &from->lanes[i]), 0);
    }
}

static void put_sums(struct restore *restore, const struct snapshot *from)
{
    for (size_t i = 0; i < from->n_span_sums; i++) {
        struct span_bucket bucket = {0};
        assert_int_equal(restore_add_span_sums(restore, &from->span_sums[i]), 0);
        for (; snapshot_span_bucket(from, i, bucket.number, &bucket); bucket.number++) {
            assert_int_equal(restore_add_span_bucket(restore, i, bucket), 0);
        }
    }
    for (size_t i = 0; i < from->n_origin_sums; i++) {
        assert_int_equal(restore_add_origin_sums(restore, &from->origin_sums[i]), 0);
    }
    for (size_t i = 0; i < from->n_span_wait_sums; i++) {
        assert_int_equal(restore_add_span_wait_sums(restore, &from->span_wait_sums[i]), 0);
    }
}

/* Each span's details come with a number of their own: those of the longest a second time. */
static void put_spans(struct restore *restore, const struct snapshot *from)
{
    uint32_t n_details = 0;
    for (uint64_t i = from->first_span; i < from->n_spans; i++) {
        struct stored_span span = snapshot_span(from, i);
        if (span.details != STORED_SPAN_NO_DETAILS) {
            const struct event_span_details *details = snapshot_span_details(from, span.details);
            assert_int_equal(restore_add_span_details(restore, details), 0);
            span.details = n_details++;
        }
        assert_int_equal(restore_add_span(restore, &span), 0);
    }
    for (size_t i = 0; i < from->n_longest_spans; i++) {
        struct stored_span span = from->longest_spans[i];
        if (span.details != STORED_SPAN_NO_DETAILS) {
            const struct event_span_details *details = snapshot_span_details(from, span.details);
            assert_int_equal(restore_add_span_details(restore, details), 0);
            span.details = n_details++;
        }
        assert_int_equal(restore_add_longest_span(restore, &span), 0);
    }
}

static void assert_same_span(const struct snapshot *one_of, struct stored_span one,
                             const struct snapshot *other_of, struct stored_span other)
{
    bool has_details = one.details != STORED_SPAN_NO_DETAILS;
    assert_int_equal(has_details, other.details != STORED_SPAN_NO_DETAILS);
    if (has_details) {
        const struct event_span_details *details = snapshot_span_details(one_of, one.details);
        const struct event_span_details *again = snapshot_span_details(other_of, other.details);
        assert_memory_equal(details, again, offsetof(struct event_span_details, counters));
    }
    assert_int_equal(one.start_ns, other.start_ns);
    assert_int_equal(one.end_ns, other.end_ns);
    assert_int_equal(one.origin_ns, other.origin_ns);
    assert_int_equal(one.origin_tid, other.origin_tid);
    assert_int_equal(one.lane, other.lane);
    assert_int_equal(one.name, other.name);
    assert_int_equal(one.origin_thread, other.origin_thread);
    assert_int_equal(one.origin_stack, other.origin_stack);
    assert_int_equal(one.distance_ns, other.distance_ns);
    assert_int_equal(one.state, other.state);
}

static void assert_same(const struct snapshot *one, const struct snapshot *other)
{
    assert_int_equal(one->n_spans, other->n_spans);
    assert_int_equal(one->first_span, other->first_span);
    assert_int_equal(one->n_pending_spans, other->n_pending_spans);
    assert_int_equal(one->n_longest_spans, other->n_longest_spans);
    assert_int_equal(one->n_span_sums, other->n_span_sums);
    assert_int_equal(one->n_origin_sums, other->n_origin_sums);
    assert_int_equal(one->n_span_wait_sums, other->n_span_wait_sums);
    assert_int_equal(one->n_lanes, other->n_lanes);
    assert_int_equal(one->origin_bound_ns, other->origin_bound_ns);
    assert_memory_equal(&one->linked_distance, &other->linked_distance,
                        sizeof(one->linked_distance));
    assert_memory_equal(&one->too_far_distance, &other->too_far_distance,
                        sizeof(one->too_far_distance));
    assert_memory_equal(one->spans_lost, other->spans_lost, sizeof(one->spans_lost));
    assert_memory_equal(one->span_wait_sums, other->span_wait_sums,
                        one->n_span_wait_sums * sizeof(*one->span_wait_sums));
    for (uint32_t i = 0; i < one->n_lanes; i++) {
        assert_string_equal(one->lanes[i].name, other->lanes[i].name);
        assert_int_equal(one->lanes[i].total_ns, other->lanes[i].total_ns);
        assert_memory_equal(one->lanes[i].states, other->lanes[i].states,
                            sizeof(one->lanes[i].states));
    }
    for (size_t i = 0; i < one->n_span_sums; i++) {
        assert_memory_equal(&one->span_sums[i], &other->span_sums[i], sizeof(*one->span_sums));
        for (unsigned int percent = 0; percent <= 100; percent++) {
            assert_int_equal(snapshot_span_quantile_ns(one, i, percent / 100.0),
                             snapshot_span_quantile_ns(other, i, percent / 100.0));
        }
    }
    for (uint64_t i = one->first_span; i < one->n_spans; i++) {
        assert_same_span(one, snapshot_span(one, i), other, snapshot_span(other, i));
    }
    for (size_t i = 0; i < one->n_longest_spans; i++) {
        assert_same_span(one, one->longest_spans[i], other, other->longest_spans[i]);
    }
}

static void what_is_put_back_is_what_was_taken_out(void **state)
{
    (void)state;
    const struct aggregate_config config = {0};
    struct aggregate *aggregate = play(), *again;
    for (unsigned int is_over = 0; is_over < 2; is_over++) {
        struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
        assert_int_equal(snapshot->n_pending_spans == 0, is_over);
        struct restore_run run = {.n_kernel_samples = 0,
                                  .first_span = snapshot->first_span,
                                  .origin_bound_ns = snapshot->origin_bound_ns,
                                  .linked_distance = snapshot->linked_distance,
                                  .too_far_distance = snapshot->too_far_distance};
        memcpy(run.spans_lost, snapshot->spans_lost, sizeof(run.spans_lost));
        struct restore *restore = begin(&config, run);
        put_tables(restore, snapshot);
        put_sums(restore, snapshot);
        put_spans(restore, snapshot);
        assert_int_equal(restore_n_mended(restore), 0);
        struct snapshot *restored = end(restore, &again);
        assert_same(snapshot, restored);
        snapshot_unref(restored);
        snapshot_unref(snapshot);
        aggregate_free(again);
        aggregate_end(aggregate, END_NS);
    }
    aggregate_free(aggregate);
}

/* Counted again, one by one, the spans sum to the same. */
static void sums_can_be_made_anew(void **state)
{
    (void)state;
    const struct aggregate_config config = {0};
    struct aggregate *aggregate = play(), *again;
    aggregate_end(aggregate, END_NS);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
    struct restore *restore =
        begin(&config, (struct restore_run){.origin_bound_ns = snapshot->origin_bound_ns});
    for (uint32_t i = 1; i <= snapshot->n_span_names; i++) {
        const struct span_name name = snapshot_span_name(snapshot, i);
        assert_int_equal(restore_add_span_name(restore, &name), 0);
    }
    for (stack_id id = 0; id < snapshot->n_frames; id++) {
        assert_int_equal(restore_add_frame(restore, (struct frame){0}), 0);
        const struct stack_node node = {.frame = id};
        assert_int_equal(restore_add_stack(restore, node), 0);
    }
    assert_int_equal(restore_add_thread(restore, &snapshot->threads[0]), 0);
    for (uint32_t i = 0; i < snapshot->n_lanes; i++) {
        const struct lane_totals lane = {.pid = snapshot->lanes[i].pid,
                                         .name = snapshot->lanes[i].name};
        assert_int_equal(restore_add_lane(restore, &lane), 0);
    }
    uint32_t n_details = 0;
    for (uint64_t i = 0; i < snapshot->n_spans; i++) {
        struct stored_span span = snapshot_span(snapshot, i);
        if (span.details != STORED_SPAN_NO_DETAILS) {
            const struct event_span_details *details =
                snapshot_span_details(snapshot, span.details);
            assert_int_equal(restore_add_span_details(restore, details), 0);
            span.details = n_details++;
        }
        assert_int_equal(restore_add_span(restore, &span), 0);
        assert_int_equal(restore_count_span(restore, &span), 0);
    }
    for (size_t i = 0; i < snapshot->n_span_wait_sums; i++) {
        assert_int_equal(restore_count_span_wait(restore, &snapshot->span_wait_sums[i]), 0);
    }
    struct snapshot *counted = end(restore, &again);
    assert_int_equal(counted->spans_lost[0], 0);
    /* All but what is not of the spans. */
    memcpy(counted->spans_lost, snapshot->spans_lost, sizeof(snapshot->spans_lost));
    assert_same(snapshot, counted);
    snapshot_unref(counted);
    snapshot_unref(snapshot);
    aggregate_free(again);
    aggregate_free(aggregate);
}

/* ---- what no run has ---- */

static void what_names_nothing_is_refused(void **state)
{
    (void)state;
    const struct aggregate_config config = {0};
    struct restore *restore = begin_with_lane(&config);
    struct span_sums sums = {.lane = 1, .name = 1};
    assert_int_equal(restore_add_span_sums(restore, &sums), -EBADMSG);
    sums = (struct span_sums){.name = 3};
    assert_int_equal(restore_add_span_sums(restore, &sums), -EBADMSG);
    sums.name = 0; /* the others */
    assert_int_equal(restore_add_span_sums(restore, &sums), 0);
    assert_int_equal(restore_add_span_sums(restore, &sums), -EBADMSG); /* twice */
    assert_int_equal(
        restore_add_span_bucket(restore, 1, (struct span_bucket){.number = 1, .n_spans = 1}),
        -EBADMSG);
    assert_int_equal(restore_add_span_bucket(restore, 0, (struct span_bucket){.number = 1}),
                     -EBADMSG);
    struct origin_sums origins = {.state = ORIGIN_STATE_N};
    assert_int_equal(restore_add_origin_sums(restore, &origins), -EBADMSG);
    const struct span_wait_sums waits = {.lane = 9};
    assert_int_equal(restore_add_span_wait_sums(restore, &waits), -EBADMSG);
    assert_int_equal(restore_count_span_wait(restore, &waits), -EBADMSG);
    const struct stored_span spans[] = {
        {.lane = 1, .name = 1},
        {.name = 3},
        {.name = 1, .start_ns = 2, .end_ns = 1},
        {.name = 1, .end_ns = UINT64_MAX},
        {.name = 1, .state = ORIGIN_STATE_N},
    };
    for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
        assert_int_equal(restore_add_span(restore, &spans[i]), -EBADMSG);
        assert_int_equal(restore_count_span(restore, &spans[i]), -EBADMSG);
        assert_int_equal(restore_add_longest_span(restore, &spans[i]), -EBADMSG);
    }
    assert_int_equal(restore_n_mended(restore), 0);
    restore_free(restore);
}

static void what_points_nowhere_is_mended(void **state)
{
    (void)state;
    const struct aggregate_config config = {0};
    struct aggregate *aggregate;
    struct restore *restore = begin_with_lane(&config);
    const struct stored_span span = {
        .name = 1, .origin_thread = 5, .origin_stack = 9, .details = 77, .state = ORIGIN_LINKED};
    const struct origin_sums origins = {.name = 1, .thread = 5, .stack = 9, .n_spans = 3};
    const struct lane_totals lane = {.kind = 99, .name = "odd"};
    const struct span_name name = {.parent = 99, .text = "lost"};
    assert_int_equal(restore_add_span(restore, &span), 0);
    assert_int_equal(restore_add_longest_span(restore, &span), 0);
    assert_int_equal(restore_add_origin_sums(restore, &origins), 0);
    assert_int_equal(restore_add_lane(restore, &lane), 0);
    assert_int_equal(restore_add_span_name(restore, &name), 0);
    assert_int_equal(restore_n_mended(restore), 3 + 3 + 2 + 1 + 1);
    struct snapshot *snapshot = end(restore, &aggregate);
    assert_int_equal(snapshot_span(snapshot, 0).origin_thread, THREAD_ID_NONE);
    assert_int_equal(snapshot_span(snapshot, 0).origin_stack, STACK_ID_EMPTY);
    assert_int_equal(snapshot_span(snapshot, 0).details, STORED_SPAN_NO_DETAILS);
    assert_int_equal(snapshot->longest_spans[0].details, STORED_SPAN_NO_DETAILS);
    assert_int_equal(snapshot->origin_sums[0].thread, THREAD_ID_NONE);
    assert_int_equal(snapshot->lanes[1].kind, LANE_KIND_GENERIC);
    assert_int_equal(snapshot_span_name(snapshot, 3).parent, 0);
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

static void only_the_last_spans_are_pending(void **state)
{
    (void)state;
    const struct aggregate_config config = {0};
    struct aggregate *aggregate;
    struct restore *restore = begin_with_lane(&config);
    static const uint8_t states[] = {ORIGIN_PENDING, ORIGIN_MISSING, ORIGIN_PENDING,
                                     ORIGIN_PENDING};
    for (size_t i = 0; i < sizeof(states); i++) {
        const struct stored_span span = {.name = 1,
                                         .origin_thread = THREAD_ID_NONE,
                                         .details = STORED_SPAN_NO_DETAILS,
                                         .state = states[i]};
        assert_int_equal(restore_add_span(restore, &span), 0);
    }
    assert_int_equal(restore_n_mended(restore), 1);
    struct snapshot *snapshot = end(restore, &aggregate);
    assert_int_equal(snapshot->n_pending_spans, 2);
    assert_int_equal(snapshot_span(snapshot, 0).state, ORIGIN_NO_SAMPLE);
    assert_int_equal(snapshot_span(snapshot, 1).state, ORIGIN_MISSING);
    assert_int_equal(snapshot_span(snapshot, 2).state, ORIGIN_PENDING);
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

/* Details in no order, of many spans or of none: they are dropped with the spans, and never under
 * one that is left. */
static void details_are_safe_where_memory_is_short(void **state)
{
    (void)state;
    const struct aggregate_config config = {.max_memory_bytes = 9u << 20};
    struct aggregate *aggregate;
    struct restore *restore = begin_with_lane(&config);
    uint32_t n_details = 5 * CHUNKED_ITEMS;
    uint64_t chance = 4;
    for (uint32_t i = 0; i < n_details; i++) {
        const struct event_span_details details = {.dispatch_id = i, .n_counters = i % 2};
        assert_int_equal(restore_add_span_details(restore, &details), 0);
    }
    for (uint32_t i = 0; i < 20 * CHUNKED_ITEMS; i++) {
        chance = chance * 6364136223846793005u + 1442695040888963407u;
        bool is_wild = chance >> 60 == 0;
        uint32_t details = is_wild ? (uint32_t)(chance >> 30) % (n_details + 5) : i / 8;
        const struct stored_span span = {.name = 1,
                                         .start_ns = START_NS,
                                         .end_ns = START_NS + i,
                                         .origin_thread = THREAD_ID_NONE,
                                         .details = details,
                                         .state = ORIGIN_MISSING};
        assert_int_equal(restore_add_span(restore, &span), 0);
        if (i % 100 == 0) {
            assert_int_equal(restore_add_longest_span(restore, &span), 0);
            restore_fold(restore);
        }
    }
    struct snapshot *snapshot = end(restore, &aggregate);
    assert_true(snapshot->first_span > 0);
    for (uint64_t i = snapshot->first_span; i < snapshot->n_spans; i++) {
        const struct stored_span span = snapshot_span(snapshot, i);
        if (span.details != STORED_SPAN_NO_DETAILS) {
            assert_true(snapshot_span_details(snapshot, span.details)->dispatch_id < n_details);
        }
    }
    for (size_t i = 0; i < snapshot->n_longest_spans; i++) {
        const struct stored_span *span = &snapshot->longest_spans[i];
        if (span->details != STORED_SPAN_NO_DETAILS) {
            assert_true(snapshot_span_details(snapshot, span->details)->dispatch_id < n_details);
        }
    }
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_back_is_what_was_taken_out),
        cmocka_unit_test(sums_can_be_made_anew),
        cmocka_unit_test(what_names_nothing_is_refused),
        cmocka_unit_test(what_points_nowhere_is_mended),
        cmocka_unit_test(only_the_last_spans_are_pending),
        cmocka_unit_test(details_are_safe_where_memory_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
