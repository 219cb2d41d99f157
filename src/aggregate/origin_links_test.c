/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/aggregate_internal.h"
#include "aggregate/span_test.h"

#define START_NS (1000 * TEST_MS)
#define TID (TEST_PID + 1)
#define CODE_IP UINT64_C(0x10000)

/* A run with one lane, one name and a thread, that has seen nothing else so far. */
static struct aggregate *begin(void)
{
    const struct aggregate_config config = {0};
    struct aggregate *aggregate = NULL;
    assert_int_equal(aggregate_new(&config, &aggregate), 0);
    aggregate_begin(aggregate, START_NS);
    tell_mapped(aggregate, START_NS, CODE_IP, CODE_IP + 0x10000, 0, "/bin/queue");
    tell_thread(aggregate, START_NS, TEST_PID, EVENT_THREAD_PRESENT, "main");
    tell_thread(aggregate, START_NS, TID, EVENT_THREAD_PRESENT, "queue");
    tell_lane(aggregate, 0, "lane");
    tell_span_name(aggregate, 1, 0, "work");
    return aggregate;
}

static void sample(struct aggregate *aggregate, uint64_t time_ns, int64_t tid, uint64_t function)
{
    const uint64_t ips[] = {CODE_IP + 0x100 * function, CODE_IP + 1};
    tell_sample(aggregate, time_ns, tid, ips, 2);
}

static void queue(struct aggregate *aggregate, struct event_origin origin)
{
    tell_span_read(
        aggregate,
        (struct event_span){
            .name = 1, .start_ns = START_NS + 1, .end_ns = START_NS + 2, .origin = origin},
        START_NS + 5000 * TEST_MS);
}

/* The span as the present sees it. */
static struct stored_span look(struct aggregate *aggregate, uint64_t index)
{
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
    assert_true(index < snapshot->n_spans);
    const struct stored_span span = snapshot_span(snapshot, index);
    snapshot_unref(snapshot);
    return span;
}

/* Which function of sample() is innermost. */
static uint64_t function_of(struct aggregate *aggregate, stack_id stack)
{
    struct stack_node node = stack_table_get(aggregate->stacks, stack);
    return frame_table_get(aggregate->frames, node.frame).offset / 0x100;
}

static void a_sample_before_or_behind_is_taken(void **state)
{
    (void)state;
    struct aggregate *aggregate = begin();
    queue(aggregate, test_origin(TID, START_NS + 20 * TEST_MS));
    queue(aggregate, test_origin(TID, START_NS + 26 * TEST_MS));
    assert_int_equal(look(aggregate, 0).state, ORIGIN_PENDING);
    sample(aggregate, START_NS + 17 * TEST_MS, TID, 3);
    sample(aggregate, START_NS + 22 * TEST_MS, TID, 4);
    assert_int_equal(look(aggregate, 0).state, ORIGIN_PENDING);
    sample(aggregate, START_NS + 26 * TEST_MS, TEST_PID, 5); /* of another thread */
    const struct stored_span first = look(aggregate, 0);
    assert_int_equal(first.state, ORIGIN_LINKED);
    assert_int_equal(first.distance_ns, 2 * TEST_MS);
    assert_int_equal(function_of(aggregate, first.origin_stack), 4);
    assert_int_equal(look(aggregate, 1).state, ORIGIN_PENDING);
    sample(aggregate, START_NS + 40 * TEST_MS, TEST_PID, 5);
    assert_int_equal(look(aggregate, 1).distance_ns, 4 * TEST_MS);
    assert_int_equal(function_of(aggregate, look(aggregate, 1).origin_stack), 4);
    /* One that comes late is settled at once. */
    queue(aggregate, test_origin(TID, START_NS + 17 * TEST_MS));
    assert_int_equal(look(aggregate, 2).state, ORIGIN_LINKED);
    assert_int_equal(look(aggregate, 2).distance_ns, 0);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
    assert_int_equal(snapshot->n_pending_spans, 0);
    assert_int_equal(snapshot->linked_distance.n, 3);
    assert_int_equal(snapshot->linked_distance.min_ns, 0);
    assert_int_equal(snapshot->linked_distance.max_ns, 4 * TEST_MS);
    assert_int_equal(snapshot->linked_distance.sum_ns, 6 * TEST_MS);
    assert_int_equal(snapshot->n_origin_sums, 2);
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

/* That time has passed is told by snapshots, too. */
static void time_that_passes_settles(void **state)
{
    (void)state;
    struct aggregate *aggregate = begin();
    sample(aggregate, START_NS + 1 * TEST_MS, TID, 3);
    queue(aggregate, test_origin(TID, START_NS + 2 * TEST_MS));
    struct snapshot *before = aggregate_snapshot(aggregate, START_NS + 7 * TEST_MS);
    struct snapshot *after = aggregate_snapshot(aggregate, START_NS + 7 * TEST_MS + 1);
    assert_int_equal(before->n_pending_spans, 1);
    assert_int_equal(before->lanes[0].states[ORIGIN_PENDING], 1);
    assert_int_equal(before->n_origin_sums, 0);
    assert_int_equal(after->n_pending_spans, 0);
    assert_int_equal(after->lanes[0].states[ORIGIN_LINKED], 1);
    assert_true(after->sequence > before->sequence);
    /* What was pending stays so for who saw it then. */
    assert_int_equal(snapshot_span(before, 0).state, ORIGIN_PENDING);
    assert_int_equal(snapshot_span(before, 0).origin_stack, STACK_ID_EMPTY);
    assert_int_equal(snapshot_span(after, 0).state, ORIGIN_LINKED);
    assert_int_equal(before->longest_spans[0].state, ORIGIN_PENDING);
    assert_int_equal(after->longest_spans[0].state, ORIGIN_LINKED);
    snapshot_unref(before);
    snapshot_unref(after);
    aggregate_free(aggregate);
}

static void each_state_is_told(void **state)
{
    (void)state;
    struct aggregate *aggregate = begin();
    const uint64_t kernel_ips[] = {UINT64_C(0xffffffff81000000)};
    tell_thread(aggregate, START_NS, TID + 1, EVENT_THREAD_PRESENT, "kernel only");
    tell_thread(aggregate, START_NS, TID + 2, EVENT_THREAD_PRESENT, "never seen");
    sample(aggregate, START_NS + 100 * TEST_MS, TID, 3);
    tell(aggregate, (struct event){.kind = EVENT_SAMPLE,
                                   .time_ns = START_NS + 100 * TEST_MS,
                                   .pid = TEST_PID,
                                   .tid = TID + 1,
                                   .stack = {.ips = kernel_ips, .n_ips = 1, .n_kernel_ips = 1}});
    struct event_origin origins[ORIGIN_PENDING];
    for (size_t i = 0; i < ORIGIN_PENDING; i++) {
        origins[i] = test_origin(TID, START_NS + 101 * TEST_MS);
    }
    origins[ORIGIN_MISSING] = (struct event_origin){0};
    origins[ORIGIN_NO_THREAD].tid = 4711;
    origins[ORIGIN_NO_SAMPLE].tid = TID + 2;
    origins[ORIGIN_NO_USER_STACK].tid = TID + 1;
    origins[ORIGIN_TOO_FAR].time_ns = START_NS + 108 * TEST_MS;
    origins[ORIGIN_SYNTHETIC_TID].tid = LANE_TID_FIRST;
    origins[ORIGIN_WRONG_PID].pid = 4711;
    origins[ORIGIN_OUTSIDE_RUN].time_ns = START_NS - 6 * TEST_MS;
    for (size_t i = 0; i < ORIGIN_PENDING; i++) {
        queue(aggregate, origins[i]);
    }
    origins[0] = test_origin(TID, START_NS + 207 * TEST_MS); /* behind its end */
    queue(aggregate, origins[0]);
    origins[0].tid = 4711; /* who is outside of the run is no such thread, or whatever, either */
    queue(aggregate, origins[0]);
    aggregate_end(aggregate, START_NS + 200 * TEST_MS);
    for (size_t i = 0; i < ORIGIN_PENDING; i++) {
        assert_int_equal(look(aggregate, i).state, i);
    }
    assert_int_equal(look(aggregate, ORIGIN_PENDING).state, ORIGIN_OUTSIDE_RUN);
    assert_int_equal(look(aggregate, ORIGIN_PENDING + 1).state, ORIGIN_OUTSIDE_RUN);
    assert_int_equal(look(aggregate, ORIGIN_TOO_FAR).distance_ns, 8 * TEST_MS);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
    for (size_t i = 0; i < ORIGIN_STATE_N; i++) {
        uint64_t n_expected = i == ORIGIN_PENDING ? 0 : i == ORIGIN_OUTSIDE_RUN ? 3 : 1;
        assert_int_equal(snapshot->lanes[0].states[i], n_expected);
    }
    assert_int_equal(snapshot->n_origin_sums, ORIGIN_PENDING);
    assert_int_equal(snapshot->too_far_distance.n, 1);
    assert_int_equal(snapshot->too_far_distance.sum_ns, 8 * TEST_MS);
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

static void the_bound_follows_the_period(void **state)
{
    (void)state;
    struct aggregate *aggregate = begin();
    const uint64_t ips[] = {CODE_IP + 0x300};
    assert_int_equal(aggregate->origin_links.bound_ns, 5 * TEST_MS);
    tell(aggregate, (struct event){.kind = EVENT_SAMPLE,
                                   .time_ns = START_NS + 10 * TEST_MS,
                                   .pid = TEST_PID,
                                   .tid = TID,
                                   .stack = {.ips = ips, .n_ips = 1},
                                   .sample = {.period_ns = 10 * TEST_MS}});
    queue(aggregate, test_origin(TID, START_NS + 40 * TEST_MS));
    aggregate_end(aggregate, START_NS + 200 * TEST_MS);
    assert_int_equal(look(aggregate, 0).state, ORIGIN_LINKED);
    assert_int_equal(look(aggregate, 0).distance_ns, 30 * TEST_MS);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
    assert_int_equal(snapshot->origin_bound_ns, 30 * TEST_MS);
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

static void tell_told_out(struct aggregate *aggregate, uint64_t time_ns, uint64_t function)
{
    const uint64_t ips[] = {UINT64_C(0xffffffff81000000), CODE_IP + 0x100 * function, CODE_IP + 1};
    tell(aggregate, (struct event){.kind = EVENT_SWITCH_OUT,
                                   .time_ns = time_ns,
                                   .pid = TEST_PID,
                                   .tid = TID,
                                   .stack = {.ips = ips, .n_ips = 3, .n_kernel_ips = 1},
                                   .switch_out = {.stack_serial = 1,
                                                  .object = {.syscall = EVENT_NO_SYSCALL}}});
}

/* Where it gave up the CPU, without the kernel's part of that; also told by its serial alone. */
static void a_switch_out_is_taken(void **state)
{
    (void)state;
    struct aggregate *aggregate = begin();
    tell_in(aggregate, START_NS + 1 * TEST_MS, TID);
    sample(aggregate, START_NS + 2 * TEST_MS, TID, 3);
    tell_told_out(aggregate, START_NS + 4 * TEST_MS, 7);
    queue(aggregate, test_origin(TID, START_NS + 4 * TEST_MS - 10));
    tell_in(aggregate, START_NS + 50 * TEST_MS, TID);
    tell(aggregate, (struct event){.kind = EVENT_SWITCH_OUT,
                                   .time_ns = START_NS + 60 * TEST_MS,
                                   .pid = TEST_PID,
                                   .tid = TID,
                                   .switch_out = {.stack_serial = 1,
                                                  .object = {.syscall = EVENT_NO_SYSCALL}}});
    queue(aggregate, test_origin(TID, START_NS + 60 * TEST_MS - 10));
    aggregate_end(aggregate, START_NS + 200 * TEST_MS);
    for (uint64_t i = 0; i < 2; i++) {
        const struct stored_span span = look(aggregate, i);
        assert_int_equal(span.state, ORIGIN_LINKED);
        assert_int_equal(span.distance_ns, 10);
        assert_int_equal(function_of(aggregate, span.origin_stack), 7);
    }
    aggregate_free(aggregate);
}

/* Nobody told where it waits, until somebody looked; a guess is not taken. */
static void a_wait_that_is_found_later_is_taken(void **state)
{
    (void)state;
    struct aggregate *aggregate = begin();
    const uint64_t ips[] = {CODE_IP + 0x900};
    for (uint64_t i = 0; i < 2; i++) {
        uint64_t out_ns = START_NS + (100 * i + 40) * TEST_MS;
        tell_in(aggregate, out_ns - 30 * TEST_MS, TID);
        sample(aggregate, out_ns - 20 * TEST_MS, TID, 3);
        tell_out(aggregate, out_ns, TID, false);
        if (i == 0) {
            tell(aggregate, (struct event){.kind = EVENT_WAIT_SEEN,
                                           .time_ns = out_ns + 3 * TEST_MS,
                                           .pid = TEST_PID,
                                           .tid = TID,
                                           .stack = {.ips = ips, .n_ips = 1}});
        }
        queue(aggregate, test_origin(TID, out_ns - 10));
    }
    aggregate_end(aggregate, START_NS + 400 * TEST_MS);
    assert_int_equal(look(aggregate, 0).state, ORIGIN_LINKED);
    assert_int_equal(function_of(aggregate, look(aggregate, 0).origin_stack), 9);
    assert_int_equal(look(aggregate, 1).state, ORIGIN_TOO_FAR);
    aggregate_free(aggregate);
}

static void a_tid_that_is_used_again_is_another_thread(void **state)
{
    (void)state;
    struct aggregate *aggregate = begin();
    for (uint64_t i = 0; i < 3; i++) {
        uint64_t born_ns = START_NS + (100 * i + 50) * TEST_MS;
        tell_thread(aggregate, born_ns, 500, EVENT_THREAD_BORN, NULL);
        sample(aggregate, born_ns + 10 * TEST_MS, 500, 3 + i);
        tell_thread(aggregate, born_ns + 20 * TEST_MS, 500, EVENT_THREAD_GONE, NULL);
    }
    for (uint64_t i = 0; i < 3; i++) {
        queue(aggregate, test_origin(500, START_NS + (100 * i + 61) * TEST_MS));
    }
    queue(aggregate, test_origin(500, START_NS + 190 * TEST_MS)); /* between two lives */
    queue(aggregate, test_origin(500, START_NS + 390 * TEST_MS));
    aggregate_end(aggregate, START_NS + 400 * TEST_MS);
    for (uint64_t i = 0; i < 3; i++) {
        const struct stored_span span = look(aggregate, i);
        assert_int_equal(span.state, ORIGIN_LINKED);
        assert_int_equal(span.distance_ns, TEST_MS);
        assert_int_equal(function_of(aggregate, span.origin_stack), 3 + i);
    }
    assert_int_not_equal(look(aggregate, 0).origin_thread, look(aggregate, 1).origin_thread);
    assert_int_equal(look(aggregate, 3).state, ORIGIN_NO_THREAD);
    assert_int_equal(look(aggregate, 4).state, ORIGIN_NO_THREAD);
    aggregate_free(aggregate);
}

static void another_process_of_the_run_may_queue(void **state)
{
    (void)state;
    struct aggregate *aggregate = begin();
    const uint64_t ips[] = {CODE_IP + 0x300};
    tell(aggregate, (struct event){.kind = EVENT_SAMPLE,
                                   .time_ns = START_NS + 10 * TEST_MS,
                                   .pid = 900,
                                   .tid = 901,
                                   .stack = {.ips = ips, .n_ips = 1}});
    queue(aggregate, (struct event_origin){900, 901, START_NS + 11 * TEST_MS});
    queue(aggregate, (struct event_origin){900, TID, START_NS + 11 * TEST_MS}); /* not of it */
    queue(aggregate, (struct event_origin){902, 901, START_NS + 11 * TEST_MS});
    queue(aggregate, (struct event_origin){INT64_MIN, 901, START_NS + 11 * TEST_MS});
    queue(aggregate, (struct event_origin){900, -5, START_NS + 11 * TEST_MS});
    aggregate_end(aggregate, START_NS + 400 * TEST_MS);
    assert_int_equal(look(aggregate, 0).state, ORIGIN_LINKED);
    assert_int_equal(look(aggregate, 1).state, ORIGIN_NO_THREAD);
    assert_int_equal(look(aggregate, 2).state, ORIGIN_WRONG_PID);
    assert_int_equal(look(aggregate, 3).state, ORIGIN_WRONG_PID);
    assert_int_equal(look(aggregate, 4).state, ORIGIN_NO_THREAD);
    aggregate_free(aggregate);
}

static void a_wait_shares_what_overlaps(void **state)
{
    (void)state;
    struct aggregate *aggregate = begin();
    tell_in(aggregate, START_NS + 1 * TEST_MS, TID);
    tell_told_out(aggregate, START_NS + 10 * TEST_MS, 7);
    struct event_span_details details = {
        .wait = test_origin(TID, START_NS + 10 * TEST_MS - 5),
        .wait_end_ns = START_NS + 30 * TEST_MS,
    };
    struct event_span span = {.name = 1,
                              .start_ns = START_NS + 5 * TEST_MS,
                              .end_ns = START_NS + 25 * TEST_MS,
                              .details = &details};
    tell_span_read(aggregate, span, START_NS + 40 * TEST_MS);
    span.start_ns = START_NS + 20 * TEST_MS;
    span.end_ns = START_NS + 50 * TEST_MS;
    tell_span_read(aggregate, span, START_NS + 40 * TEST_MS);
    span.start_ns = START_NS + 30 * TEST_MS; /* when the wait was over */
    tell_span_read(aggregate, span, START_NS + 40 * TEST_MS);
    details.wait_end_ns = START_NS; /* before it began */
    tell_span_read(aggregate, span, START_NS + 40 * TEST_MS);
    details.wait_end_ns = START_NS + 45 * TEST_MS;
    details.wait.tid = 4711;
    tell_span_read(aggregate, span, START_NS + 40 * TEST_MS);
    aggregate_end(aggregate, START_NS + 200 * TEST_MS);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
    assert_int_equal(snapshot->span_sums[0].n_waited, 3);
    assert_int_equal(snapshot->span_sums[0].waited_ns,
                     15 * TEST_MS + 5 + 10 * TEST_MS + 15 * TEST_MS);
    assert_int_equal(snapshot->n_span_wait_sums, 2);
    const struct span_wait_sums *sums = &snapshot->span_wait_sums[0];
    assert_int_equal(sums->n_waits, 2);
    assert_int_equal(sums->waited_ns, 25 * TEST_MS + 5);
    assert_int_equal(snapshot->threads[sums->thread].tid, TID);
    assert_int_equal(function_of(aggregate, sums->stack), 7);
    assert_int_equal(snapshot->span_wait_sums[1].thread, THREAD_ID_NONE);
    assert_int_equal(snapshot->span_wait_sums[1].stack, STACK_ID_EMPTY);
    assert_int_equal(snapshot->span_wait_sums[1].waited_ns, 15 * TEST_MS);
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

/* Queued, it says, in a far future: that waits no longer than others do. */
static void a_lying_origin_holds_nobody_up(void **state)
{
    (void)state;
    struct aggregate *aggregate = begin();
    sample(aggregate, START_NS + 10 * TEST_MS, TID, 3);
    struct event_span span = {.name = 1,
                              .start_ns = START_NS + 12 * TEST_MS,
                              .end_ns = START_NS + 13 * TEST_MS,
                              .origin = test_origin(TID, UINT64_MAX)};
    tell_span(aggregate, span);
    span.origin.time_ns = START_NS + 11 * TEST_MS;
    tell_span(aggregate, span);
    sample(aggregate, START_NS + 20 * TEST_MS, TEST_PID, 3);
    assert_int_equal(look(aggregate, 0).state, ORIGIN_OUTSIDE_RUN);
    assert_int_equal(look(aggregate, 1).state, ORIGIN_LINKED);
    aggregate_free(aggregate);
}

static void too_many_that_are_pending_are_settled_early(void **state)
{
    (void)state;
    struct aggregate *aggregate = begin();
    sample(aggregate, START_NS + 10 * TEST_MS, TID, 3);
    for (uint64_t i = 0; i < PENDING_SPANS_MAX + 100; i++) {
        queue(aggregate, test_origin(TID, START_NS + 12 * TEST_MS));
    }
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
    assert_int_equal(snapshot->n_pending_spans, PENDING_SPANS_MAX);
    assert_int_equal(snapshot->lanes[0].states[ORIGIN_LINKED], 100);
    snapshot_unref(snapshot);
    aggregate_end(aggregate, START_NS + 50 * TEST_MS);
    snapshot = aggregate_snapshot(aggregate, 0);
    assert_int_equal(snapshot->n_pending_spans, 0);
    assert_int_equal(snapshot->lanes[0].states[ORIGIN_LINKED], PENDING_SPANS_MAX + 100);
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sample_before_or_behind_is_taken),
        cmocka_unit_test(time_that_passes_settles),
        cmocka_unit_test(each_state_is_told),
        cmocka_unit_test(the_bound_follows_the_period),
        cmocka_unit_test(a_switch_out_is_taken),
        cmocka_unit_test(a_wait_that_is_found_later_is_taken),
        cmocka_unit_test(a_tid_that_is_used_again_is_another_thread),
        cmocka_unit_test(another_process_of_the_run_may_queue),
        cmocka_unit_test(a_wait_shares_what_overlaps),
        cmocka_unit_test(a_lying_origin_holds_nobody_up),
        cmocka_unit_test(too_many_that_are_pending_are_settled_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
