/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/aggregate_internal.h"
#include "aggregate/aggregate_test.h"
#include "aggregate/span_test.h"
#include "base/time_sum.h"

#define START_NS (1000 * TEST_MS)

static struct aggregate *begin(void)
{
    const struct aggregate_config config = {0};
    struct aggregate *aggregate = NULL;
    assert_int_equal(aggregate_new(&config, &aggregate), 0);
    aggregate_begin(aggregate, START_NS);
    return aggregate;
}

static void totals_are_exact(void **state)
{
    (void)state;
    struct aggregate *aggregate = begin();
    aggregate_begin(aggregate, 0);
    tell_lane(aggregate, 0, "GPU 0");
    tell_span_name(aggregate, 1, 0, "kernel");
    tell_span(aggregate, (struct event_span){.name = 1, .start_ns = 10, .end_ns = 30});
    tell_span(aggregate, (struct event_span){.name = 1, .start_ns = 5, .end_ns = 6});
    tell_span(aggregate, (struct event_span){.name = 1, .start_ns = 50, .end_ns = 50});
    aggregate_end(aggregate, START_NS);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
    assert_int_equal(snapshot->n_lanes, 1);
    assert_string_equal(snapshot->lanes[0].name, "GPU 0");
    assert_int_equal(snapshot->lanes[0].pid, TEST_PID);
    assert_int_equal(snapshot->lanes[0].n_spans, 3);
    assert_int_equal(snapshot->lanes[0].total_ns, 21);
    assert_int_equal(snapshot->lanes[0].first_ns, 5);
    assert_int_equal(snapshot->lanes[0].last_ns, 50);
    assert_int_equal(snapshot->lanes[0].states[ORIGIN_MISSING], 3);
    assert_int_equal(snapshot->n_span_sums, 1);
    assert_int_equal(snapshot->span_sums[0].n_spans, 3);
    assert_int_equal(snapshot->span_sums[0].total_ns, 21);
    assert_int_equal(snapshot->span_sums[0].min_ns, 0);
    assert_int_equal(snapshot->span_sums[0].max_ns, 20);
    assert_int_equal(snapshot_span_quantile_ns(snapshot, 0, 0.5), 1);
    assert_int_equal(snapshot->n_longest_spans, 3);
    assert_int_equal(snapshot->longest_spans[0].start_ns, 10);
    assert_int_equal(snapshot->n_origin_sums, 1);
    assert_int_equal(snapshot->origin_sums[0].total_ns, 21);
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

/* Lengths are those of whole spans; time before the run is none of its. */
static void totals_begin_with_the_run(void **state)
{
    (void)state;
    struct aggregate *aggregate = begin();
    const struct event_span_details waited = {
        .wait = {.pid = TEST_PID, .tid = TEST_PID, .time_ns = START_NS - 40},
        .wait_end_ns = START_NS + 20,
    };
    tell_lane(aggregate, 0, "GPU 0");
    tell_span_name(aggregate, 1, 0, "frame");
    tell_span_name(aggregate, 2, 1, "draw");
    tell_span(aggregate, (struct event_span){.name = 1,
                                             .start_ns = START_NS - 100,
                                             .end_ns = START_NS + 30,
                                             .details = &waited});
    tell_span(aggregate,
              (struct event_span){.name = 1, .start_ns = START_NS + 50, .end_ns = START_NS + 57});
    tell_span(aggregate,
              (struct event_span){.name = 2, .start_ns = START_NS - 50, .end_ns = START_NS + 10});
    tell_span(aggregate,
              (struct event_span){.name = 2, .start_ns = START_NS - 9, .end_ns = START_NS - 5});
    aggregate_end(aggregate, START_NS + 100);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
    assert_int_equal(snapshot->lanes[0].total_ns, 37);
    assert_int_equal(snapshot->lanes[0].first_ns, START_NS - 100);
    const struct span_sums *frame = &snapshot->span_sums[0], *draw = &snapshot->span_sums[1];
    assert_int_equal(frame->total_ns, 37);
    assert_int_equal(frame->length_ns, 137);
    assert_int_equal(frame->max_ns, 130);
    assert_int_equal(frame->waited_ns, 20);
    assert_int_equal(draw->total_ns, 10);
    assert_int_equal(draw->length_ns, 64);
    assert_int_equal(snapshot->n_origin_sums, 2);
    assert_int_equal(snapshot->origin_sums[0].total_ns, 37);
    assert_int_equal(snapshot->origin_sums[1].total_ns, 10);
    assert_int_equal(snapshot->n_span_wait_sums, 1);
    assert_int_equal(snapshot->span_wait_sums[0].waited_ns, 20);
    assert_int_equal(snapshot->longest_spans[0].start_ns, START_NS - 100);
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

/* A program can tell what it likes: sums end at their limit. */
static void sums_do_not_wrap(void **state)
{
    (void)state;
    const struct aggregate_config config = {0};
    struct aggregate *aggregate = NULL;
    assert_int_equal(aggregate_new(&config, &aggregate), 0);
    const uint64_t end_ns = UINT64_MAX / 4 * 3;
    const struct event_span_details waited = {
        .wait = {.pid = TEST_PID, .tid = TEST_PID, .time_ns = 1},
        .wait_end_ns = end_ns,
    };
    tell_lane(aggregate, 0, "GPU 0");
    for (uint32_t name = 1; name <= 2; name++) {
        tell_span_name(aggregate, name, 0, "kernel");
        for (int i = 0; i < 3; i++) {
            tell_span_read(aggregate,
                           (struct event_span){
                               .name = name, .start_ns = 1, .end_ns = end_ns, .details = &waited},
                           START_NS);
        }
    }
    aggregate_end(aggregate, START_NS);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
    assert_int_equal(snapshot->lanes[0].total_ns, TIME_SUM_MAX_NS);
    assert_int_equal(snapshot->n_span_sums, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(snapshot->span_sums[i].n_spans, 3);
        assert_int_equal(snapshot->span_sums[i].total_ns, TIME_SUM_MAX_NS);
        assert_int_equal(snapshot->span_sums[i].length_ns, TIME_SUM_MAX_NS);
        assert_int_equal(snapshot->span_sums[i].waited_ns, TIME_SUM_MAX_NS);
        assert_int_equal(snapshot->origin_sums[i].total_ns, TIME_SUM_MAX_NS);
        assert_int_equal(snapshot->span_wait_sums[i].waited_ns, TIME_SUM_MAX_NS);
    }
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

static void nested_spans_count_once(void **state)
{
    (void)state;
    struct aggregate *aggregate = begin();
    tell_lane(aggregate, 0, "GPU 0");
    tell_span_name(aggregate, 1, 0, "frame");
    tell_span_name(aggregate, 2, 1, "pass");
    tell_span_name(aggregate, 3, 2, "draw");
    for (uint64_t i = 0; i < 10; i++) {
        uint64_t start_ns = START_NS + 1000 * i;
        for (uint64_t k = 0; k < 4; k++) {
            tell_span(aggregate, (struct event_span){.name = 3,
                                                     .start_ns = start_ns + 100 * k,
                                                     .end_ns = start_ns + 100 * k + 70});
        }
        tell_span(aggregate,
                  (struct event_span){.name = 2, .start_ns = start_ns, .end_ns = start_ns + 400});
        tell_span(aggregate,
                  (struct event_span){.name = 1, .start_ns = start_ns, .end_ns = start_ns + 500});
    }
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
    assert_int_equal(snapshot->lanes[0].n_spans, 60);
    assert_int_equal(snapshot->lanes[0].total_ns, 5000);
    assert_int_equal(snapshot->n_span_names, 3);
    assert_string_equal(snapshot_span_name(snapshot, 3).text, "draw");
    assert_int_equal(snapshot_span_name(snapshot, 3).parent, 2);
    assert_string_equal(snapshot_span_name(snapshot, 0).text, "(other)");
    assert_string_equal(snapshot_span_name(snapshot, 4711).text, "(other)");
    uint64_t totals_ns[4] = {0};
    for (size_t i = 0; i < snapshot->n_span_sums; i++) {
        totals_ns[snapshot->span_sums[i].name] = snapshot->span_sums[i].total_ns;
    }
    assert_int_equal(totals_ns[1], 5000);
    assert_int_equal(totals_ns[2], 4000);
    assert_int_equal(totals_ns[3], 2800);
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

static uint64_t lane_ns(struct aggregate *aggregate, uint32_t lane)
{
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
    uint64_t total_ns = snapshot->lanes[lane].total_ns;
    snapshot_unref(snapshot);
    return total_ns;
}

/* The range around a whole program has not ended yet. */
static void what_was_never_reported_takes_no_time_away(void **state)
{
    (void)state;
    struct aggregate *aggregate = begin();
    aggregate_begin(aggregate, 0);
    tell_lane(aggregate, 0, "GPU 0");
    tell_lane(aggregate, 1, "GPU 1");
    tell_span_name(aggregate, 1, 0, "program");
    tell_span_name(aggregate, 2, 1, "step");
    tell_span_name(aggregate, 3, 2, "kernel");
    tell_span(aggregate, (struct event_span){.name = 3, .start_ns = 10, .end_ns = 20});
    tell_span(aggregate, (struct event_span){.lane = 1, .name = 3, .start_ns = 10, .end_ns = 17});
    assert_int_equal(lane_ns(aggregate, 0), 10);
    tell_span(aggregate, (struct event_span){.name = 2, .start_ns = 5, .end_ns = 35});
    assert_int_equal(lane_ns(aggregate, 0), 30);
    assert_int_equal(lane_ns(aggregate, 1), 7);
    tell_span(aggregate, (struct event_span){.name = 1, .start_ns = 1, .end_ns = 101});
    assert_int_equal(lane_ns(aggregate, 0), 100);
    assert_int_equal(lane_ns(aggregate, 1), 7); /* each lane by itself */
    aggregate_free(aggregate);
}

/* Neither does it begin with them, nor go on with them, nor is its order theirs. */
static void the_clock_of_the_run_does_not_heed_them(void **state)
{
    (void)state;
    const uint64_t ips[] = {0x10001};
    struct aggregate *aggregate = begin();
    struct event events[4] = {
        {.kind = EVENT_LANE, .time_ns = 5, .lane = {.name = "a"}},
        {.kind = EVENT_SPAN_NAME, .time_ns = UINT64_MAX, .span_name = {.name = 1, .text = "b"}},
        {.kind = EVENT_SPANS_LOST, .time_ns = UINT64_MAX},
        {.kind = EVENT_NONE},
    };
    assert_int_equal(aggregate_apply(aggregate, events, 3), 0);
    tell_span_read(aggregate,
                   (struct event_span){.name = 1, .start_ns = 1, .end_ns = UINT64_MAX / 4},
                   UINT64_MAX);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
    assert_int_equal(snapshot->start_ns, START_NS);
    assert_int_equal(snapshot->now_ns, START_NS);
    assert_int_equal(snapshot->sequence, 4);
    snapshot_unref(snapshot);
    tell_sample(aggregate, START_NS + 10, TEST_PID, ips, 1);
    snapshot = aggregate_snapshot(aggregate, 0);
    assert_int_equal(snapshot->start_ns, START_NS + 10); /* the first event's time is the better */
    assert_int_equal(snapshot->now_ns, START_NS + 10);
    assert_int_equal(snapshot->n_samples, 1);
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

static void what_makes_no_sense_is_counted(void **state)
{
    (void)state;
    struct aggregate *aggregate = begin();
    const struct event_span ok = {.name = 1, .start_ns = 1, .end_ns = 2};
    struct event_span span = ok;
    tell_span(aggregate, span); /* no lane yet */
    tell_lane(aggregate, 0, "lane");
    tell_span(aggregate, span); /* no name yet */
    tell_span_name(aggregate, 1, 0, "name");
    span.lane = UINT32_MAX;
    tell_span(aggregate, span);
    span = ok;
    span.name = UINT32_MAX;
    tell_span(aggregate, span);
    span.name = 0;
    tell_span(aggregate, span);
    span = ok;
    span.start_ns = 3;
    tell_span(aggregate, span);
    tell_span(aggregate, ok);
    for (uint32_t cause = 0; cause <= EVENT_SPANS_LOST_CAUSE_N; cause++) {
        tell(aggregate, (struct event){.kind = EVENT_SPANS_LOST,
                                       .spans_lost = {.cause = cause, .count = 10 + cause}});
    }
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
    assert_int_equal(snapshot->n_spans, 1);
    for (uint32_t cause = 0; cause < EVENT_SPANS_LOST_CAUSE_N; cause++) {
        uint64_t n_own = cause == EVENT_SPANS_LOST_MALFORMED ? 6 : 0;
        assert_int_equal(snapshot->spans_lost[cause], 10 + cause + n_own);
    }
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

/* A span that is read when the run is over is settled at once. */
static void a_late_span_is_taken(void **state)
{
    (void)state;
    struct aggregate *aggregate = begin();
    const uint64_t ips[] = {0x10001};
    tell_lane(aggregate, 0, "lane");
    tell_span_name(aggregate, 1, 0, "name");
    tell_mapped(aggregate, START_NS, 0x10000, 0x20000, 0, "/bin/late");
    tell_sample(aggregate, START_NS + 10, TEST_PID, ips, 1);
    aggregate_end(aggregate, START_NS + TEST_MS);
    tell_span_read(aggregate,
                   (struct event_span){.name = 1,
                                       .start_ns = START_NS,
                                       .end_ns = START_NS + 1,
                                       .origin = test_origin(TEST_PID, START_NS + 20)},
                   START_NS + 2 * TEST_MS);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
    assert_int_equal(snapshot->n_pending_spans, 0);
    assert_int_equal(snapshot_span(snapshot, 0).state, ORIGIN_LINKED);
    assert_int_equal(snapshot_span(snapshot, 0).distance_ns, 10);
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

/* What was sampled before anybody told of a lane, stored already or not. */
static void a_lane_that_comes_late_finds_what_was_before(void **state)
{
    (void)state;
    struct aggregate *aggregate = begin();
    struct random_life life = {
        .state = 3, .n_threads = 4, .sample_pct = 60, .has_switches = true, .has_wakers = true};
    random_life_play(&life, aggregate, 20000);
    assert_int_equal(aggregate->origin_links.points.n_chunks, 0);
    tell_lane(aggregate, 0, "lane");
    tell_span_name(aggregate, 1, 0, "name");
    struct snapshot *before = aggregate_snapshot(aggregate, 0);
    assert_true(before->n_newest > 0);
    uint64_t n_told = 0;
    for (uint64_t i = 0; i < before->n_samples; i += 7) {
        const struct stored_sample *sample = snapshot_sample(before, i);
        if (sample->stack == STACK_ID_EMPTY) {
            continue;
        }
        const struct event_span span = {
            .name = 1,
            .start_ns = sample->time_ns,
            .end_ns = sample->time_ns + 1,
            .origin = test_origin(before->threads[sample->thread].tid, sample->time_ns)};
        tell_span_read(aggregate, span, life.now_ns);
        n_told++;
    }
    snapshot_unref(before);
    aggregate_end(aggregate, life.now_ns);
    struct snapshot *after = aggregate_snapshot(aggregate, 0);
    assert_int_equal(after->linked_distance.n, n_told);
    assert_int_equal(after->linked_distance.max_ns, 0);
    snapshot_unref(after);
    aggregate_free(aggregate);
}

/* A number that is small, near a limit, or anything. */
static uint64_t wild(uint64_t *chance)
{
    static const uint64_t limits[] = {LIMIT_LANES, LIMIT_SPAN_NAMES, LANE_TID_FIRST, START_NS,
                                      UINT32_MAX,  INT64_MAX,        UINT64_MAX};
    *chance = *chance * 6364136223846793005u + 1442695040888963407u;
    uint64_t value = *chance >> 8;
    switch (*chance >> 61) {
    case 0:
        return value;
    case 1:
        return limits[value % 7] + value % 5 - 2;
    case 2:
        return START_NS + value % (100 * TEST_MS);
    default:
        return value % 8;
    }
}

static struct event_origin wild_origin(uint64_t *chance)
{
    return (struct event_origin){
        .pid = wild(chance) % 2 ? TEST_PID : (int64_t)wild(chance),
        .tid = wild(chance) % 2 ? TEST_PID : (int64_t)wild(chance),
        .time_ns = wild(chance),
    };
}

static void tell_wild(struct aggregate *aggregate, uint64_t *chance)
{
    struct event_span_details details = {
        .wait = wild_origin(chance),
        .wait_end_ns = wild(chance),
        .n_counters = (uint32_t)wild(chance),
        .n_attachments = (uint32_t)wild(chance),
    };
    const struct event_span span = {
        .lane = (uint32_t)wild(chance),
        .name = (uint32_t)wild(chance),
        .start_ns = wild(chance),
        .end_ns = wild(chance),
        .origin = wild_origin(chance),
        .details = wild(chance) % 2 ? &details : NULL,
    };
    switch (wild(chance) % 8) {
    case 0:
        tell(aggregate, (struct event){.kind = EVENT_LANE,
                                       .time_ns = wild(chance),
                                       .lane = {.lane = (uint32_t)wild(chance),
                                                .kind = (uint8_t)wild(chance),
                                                .name = wild(chance) % 2 ? "wild" : NULL}});
        break;
    case 1:
        tell(aggregate, (struct event){.kind = EVENT_SPAN_NAME,
                                       .time_ns = wild(chance),
                                       .span_name = {.name = (uint32_t)wild(chance),
                                                     .parent = (uint32_t)wild(chance),
                                                     .text = wild(chance) % 2 ? "wild" : NULL}});
        break;
    default:
        tell_span_read(aggregate, span, wild(chance));
        break;
    }
}

/* Whatever is told: what is kept agrees with itself, and the run with what it was. */
static void wild_events_do_no_harm(void **state)
{
    (void)state;
    struct aggregate *aggregate = begin();
    struct random_life life = {.state = 3, .n_threads = 4, .sample_pct = 60, .has_switches = true};
    uint64_t chance = 1, n_spans = 0, n_states = 0, n_origins = 0;
    for (unsigned int i = 0; i < 20000; i++) {
        random_life_play(&life, aggregate, i % 10 == 0);
        tell_wild(aggregate, &chance);
        if (i % 1000 == 0) {
            snapshot_unref(aggregate_snapshot(aggregate, life.now_ns));
        }
    }
    aggregate_end(aggregate, life.now_ns);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
    assert_int_equal(snapshot->now_ns, life.now_ns);
    assert_int_equal(snapshot->n_samples, life.n_samples);
    assert_int_equal(snapshot->n_pending_spans, 0);
    assert_true(snapshot->n_spans > 100);
    for (size_t i = 0; i < snapshot->n_span_sums; i++) {
        n_spans += snapshot->span_sums[i].n_spans;
        assert_true(snapshot_span_quantile_ns(snapshot, i, 0.5) <= snapshot->span_sums[i].max_ns);
    }
    for (uint32_t i = 0; i < snapshot->n_lanes; i++) {
        for (size_t k = 0; k < ORIGIN_STATE_N; k++) {
            n_states += snapshot->lanes[i].states[k];
        }
    }
    for (size_t i = 0; i < snapshot->n_origin_sums; i++) {
        n_origins += snapshot->origin_sums[i].n_spans;
    }
    assert_int_equal(n_spans, snapshot->n_spans);
    assert_int_equal(n_states, snapshot->n_spans);
    assert_int_equal(n_origins, snapshot->n_spans);
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(totals_are_exact),
        cmocka_unit_test(totals_begin_with_the_run),
        cmocka_unit_test(sums_do_not_wrap),
        cmocka_unit_test(nested_spans_count_once),
        cmocka_unit_test(what_was_never_reported_takes_no_time_away),
        cmocka_unit_test(the_clock_of_the_run_does_not_heed_them),
        cmocka_unit_test(what_makes_no_sense_is_counted),
        cmocka_unit_test(a_late_span_is_taken),
        cmocka_unit_test(a_lane_that_comes_late_finds_what_was_before),
        cmocka_unit_test(wild_events_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
