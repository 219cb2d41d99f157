/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "aggregate/aggregate_internal.h"
#include "aggregate/span_test.h"

#define START_NS (1000 * TEST_MS)
#define N_NAMES 8u

struct stream {
    struct aggregate *aggregate;
    uint64_t now_ns, n_told, total_ns;
};

static struct stream begin(uint64_t max_memory_bytes, uint64_t ring_ns)
{
    const struct aggregate_config config = {.max_memory_bytes = max_memory_bytes,
                                            .ring_ns = ring_ns};
    struct stream stream = {.now_ns = START_NS};
    assert_int_equal(aggregate_new(&config, &stream.aggregate), 0);
    aggregate_begin(stream.aggregate, START_NS);
    tell_mapped(stream.aggregate, START_NS, 0x10000, 0x20000, 0, "/bin/stream");
    tell_lane(stream.aggregate, 0, "one");
    tell_lane(stream.aggregate, 1, "other");
    for (uint32_t i = 1; i <= N_NAMES; i++) {
        tell_span_name(stream.aggregate, i, 0, "name");
    }
    return stream;
}

/* A sample each millisecond, and 50 spans that are read when they are over; every fourth of them
 * has details that say which it is. */
static void go_on(struct stream *stream, unsigned int n_ms)
{
    const uint64_t ips[] = {0x10001};
    struct event events[51];
    struct event_span spans[50];
    struct event_span_details details[50] = {0};
    for (unsigned int ms = 0; ms < n_ms; ms++) {
        stream->now_ns += TEST_MS;
        events[0] = (struct event){.kind = EVENT_SAMPLE,
                                   .time_ns = stream->now_ns,
                                   .pid = TEST_PID,
                                   .tid = TEST_PID,
                                   .stack = {.ips = ips, .n_ips = 1}};
        for (size_t i = 0; i < 50; i++) {
            uint64_t length_ns = 1 + stream->n_told * 7919 % 100000;
            spans[i] =
                (struct event_span){.lane = stream->n_told % 2,
                                    .name = 1 + (uint32_t)(stream->n_told % N_NAMES),
                                    .start_ns = stream->now_ns - length_ns,
                                    .end_ns = stream->now_ns,
                                    .origin = test_origin(TEST_PID, stream->now_ns - length_ns),
                                    .details = stream->n_told % 4 == 0 ? &details[i] : NULL};
            details[i].dispatch_id = stream->n_told;
            details[i].n_counters = stream->n_told % 8 == 0 ? 2 : 0;
            events[1 + i] = (struct event){
                .kind = EVENT_SPAN, .pid = TEST_PID, .time_ns = stream->now_ns, .span = &spans[i]};
            stream->total_ns += length_ns;
            stream->n_told++;
        }
        assert_int_equal(aggregate_apply(stream->aggregate, events, 51), 0);
    }
}

/* Everything that a snapshot tells agrees with itself. */
static uint64_t check(const struct snapshot *snapshot)
{
    uint64_t n_spans = 0, n_lanes_spans = 0, total_ns = 0, n_pending = 0, n_origins = 0;
    for (uint64_t i = snapshot->first_span; i < snapshot->n_spans; i++) {
        const struct stored_span span = snapshot_span(snapshot, i);
        bool is_pending = span.state == ORIGIN_PENDING;
        assert_int_equal(is_pending, i >= snapshot->n_spans - snapshot->n_pending_spans);
        assert_int_equal(span.origin_stack == STACK_ID_EMPTY, span.state != ORIGIN_LINKED);
        if (span.details != STORED_SPAN_NO_DETAILS) {
            assert_int_equal(snapshot_span_details(snapshot, span.details)->dispatch_id, i);
        }
    }
    for (size_t i = 0; i < snapshot->n_span_sums; i++) {
        struct span_bucket bucket = {0};
        uint64_t n_counted = 0;
        for (; snapshot_span_bucket(snapshot, i, bucket.number, &bucket); bucket.number++) {
            n_counted += bucket.n_spans;
        }
        assert_int_equal(n_counted, snapshot->span_sums[i].n_spans);
        uint64_t median_ns = snapshot_span_quantile_ns(snapshot, i, 0.5);
        assert_in_range(median_ns, snapshot->span_sums[i].min_ns, snapshot->span_sums[i].max_ns);
        n_spans += snapshot->span_sums[i].n_spans;
        total_ns += snapshot->span_sums[i].total_ns;
    }
    for (size_t i = 0; i < snapshot->n_lanes; i++) {
        n_lanes_spans += snapshot->lanes[i].n_spans;
        n_pending += snapshot->lanes[i].states[ORIGIN_PENDING];
    }
    for (size_t i = 0; i < snapshot->n_origin_sums; i++) {
        n_origins += snapshot->origin_sums[i].n_spans;
    }
    assert_int_equal(n_spans, snapshot->n_spans);
    assert_int_equal(n_lanes_spans, snapshot->n_spans);
    assert_int_equal(n_pending, snapshot->n_pending_spans);
    assert_int_equal(n_origins + n_pending, snapshot->n_spans);
    return total_ns;
}

/* Sorted by lane, name, and length; with what they tell beside. */
static void check_longest(const struct snapshot *snapshot)
{
    assert_int_equal(snapshot->n_longest_spans, snapshot->n_span_sums * SNAPSHOT_LONGEST_SPANS);
    for (size_t i = 0; i < snapshot->n_longest_spans; i++) {
        const struct stored_span *span = &snapshot->longest_spans[i];
        if (span->details != STORED_SPAN_NO_DETAILS) {
            const struct event_span_details *details =
                snapshot_span_details(snapshot, span->details);
            assert_int_equal(1 + details->dispatch_id * 7919 % 100000,
                             span->end_ns - span->start_ns);
        }
        if (i % SNAPSHOT_LONGEST_SPANS == 0) {
            continue;
        }
        const struct stored_span *before = span - 1;
        assert_int_equal(before->lane, span->lane);
        assert_int_equal(before->name, span->name);
        assert_true(before->end_ns - before->start_ns >= span->end_ns - span->start_ns);
    }
}

static void a_snapshot_stays_as_it_was(void **state)
{
    (void)state;
    struct stream stream = begin(0, 0);
    go_on(&stream, 50);
    struct snapshot *snapshot = aggregate_snapshot(stream.aggregate, 0);
    uint64_t total_ns = stream.total_ns, n_told = stream.n_told;
    uint64_t p90_ns = snapshot_span_quantile_ns(snapshot, 3, 0.9);
    assert_int_equal(check(snapshot), total_ns);
    assert_true(snapshot->n_pending_spans > 0);
    go_on(&stream, 100);
    assert_int_equal(snapshot->n_spans, n_told);
    assert_int_equal(check(snapshot), total_ns);
    assert_int_equal(snapshot_span_quantile_ns(snapshot, 3, 0.9), p90_ns);
    snapshot_unref(snapshot);
    aggregate_end(stream.aggregate, stream.now_ns);
    snapshot = aggregate_snapshot(stream.aggregate, 0);
    assert_int_equal(snapshot->n_pending_spans, 0);
    assert_int_equal(check(snapshot), stream.total_ns);
    check_longest(snapshot);
    snapshot_unref(snapshot);
    aggregate_free(stream.aggregate);
}

/* With little memory single spans go, sums and the longest stay. */
static void history_goes_and_sums_stay(void **state)
{
    (void)state;
    static const struct {
        uint64_t max_memory_bytes, ring_ns;
    } bounds[] = {{14u << 20, 0}, {0, 200 * TEST_MS}};
    struct stream all = begin(0, 0);
    go_on(&all, 3000);
    aggregate_end(all.aggregate, all.now_ns);
    struct snapshot *whole = aggregate_snapshot(all.aggregate, 0);
    check(whole);
    check_longest(whole);
    assert_int_equal(whole->first_span, 0);
    assert_int_equal(whole->spans_folded_until_ns, 0);
    for (size_t k = 0; k < sizeof(bounds) / sizeof(bounds[0]); k++) {
        struct stream some = begin(bounds[k].max_memory_bytes, bounds[k].ring_ns);
        go_on(&some, 1000);
        struct snapshot *held = aggregate_snapshot(some.aggregate, 0);
        go_on(&some, 2000);
        check(held); /* what it saw is still there */
        check_longest(held);
        snapshot_unref(held);
        aggregate_end(some.aggregate, some.now_ns);
        struct snapshot *part = aggregate_snapshot(some.aggregate, 0);
        assert_true(part->first_span > 50000);
        assert_true(part->first_span < part->n_spans);
        assert_true(part->spans_folded_until_ns > START_NS);
        for (uint64_t i = part->first_span; i < part->n_spans; i++) {
            assert_true(snapshot_span(part, i).end_ns >= part->spans_folded_until_ns);
        }
        if (bounds[k].max_memory_bytes > 0) {
            assert_true(part->memory_bytes <= bounds[k].max_memory_bytes);
        }
        check_longest(part);
        assert_int_equal(check(part), some.total_ns);
        assert_int_equal(part->n_longest_spans, whole->n_longest_spans);
        for (size_t i = 0; i < whole->n_longest_spans; i++) {
            const struct stored_span *one = &whole->longest_spans[i];
            const struct stored_span *other = &part->longest_spans[i];
            assert_int_equal(one->start_ns, other->start_ns);
            assert_int_equal(one->state, other->state);
            assert_int_equal(one->details == STORED_SPAN_NO_DETAILS,
                             other->details == STORED_SPAN_NO_DETAILS);
        }
        assert_int_equal(part->n_span_details_full, 0);
        snapshot_unref(part);
        aggregate_free(some.aggregate);
    }
    snapshot_unref(whole);
    aggregate_free(all.aggregate);
}

/* Spans whose origin is not known yet stay, whatever memory there is. */
static void what_is_pending_is_not_dropped(void **state)
{
    (void)state;
    struct stream stream = begin(1u << 20, 0);
    struct event_span span = {.name = 1, .start_ns = START_NS, .end_ns = START_NS + 5};
    span.origin = test_origin(TEST_PID, START_NS + 50 * TEST_MS);
    for (unsigned int i = 0; i < 5 * CHUNKED_ITEMS; i++) {
        tell_span_read(stream.aggregate, span, START_NS + 60 * TEST_MS);
    }
    struct snapshot *snapshot = aggregate_snapshot(stream.aggregate, 0);
    assert_int_equal(snapshot->n_pending_spans, 5 * CHUNKED_ITEMS);
    assert_int_equal(snapshot->first_span, 0);
    snapshot_unref(snapshot);
    go_on(&stream, 100);
    snapshot = aggregate_snapshot(stream.aggregate, 0);
    assert_true(snapshot->first_span > 0);
    assert_true(snapshot->lanes[0].states[ORIGIN_LINKED] > 5 * CHUNKED_ITEMS);
    snapshot_unref(snapshot);
    aggregate_free(stream.aggregate);
}

struct desk {
    _Atomic(struct snapshot *) latest;
    _Atomic bool is_over;
    uint64_t n_checked;
};

static void *read_on(void *userdata)
{
    struct desk *desk = userdata;
    while (!atomic_load(&desk->is_over)) {
        struct snapshot *snapshot = atomic_exchange(&desk->latest, NULL);
        if (snapshot) {
            check(snapshot);
            desk->n_checked++;
            snapshot_unref(snapshot);
        }
    }
    return NULL;
}

static void readers_see_one_moment_while_spans_come(void **state)
{
    (void)state;
    struct stream stream = begin(5u << 20, 0);
    struct desk desk = {.latest = NULL};
    pthread_t reader;
    assert_int_equal(pthread_create(&reader, NULL, read_on, &desk), 0);
    for (unsigned int i = 0; i < 300; i++) {
        go_on(&stream, 7);
        snapshot_unref(atomic_exchange(&desk.latest, aggregate_snapshot(stream.aggregate, 0)));
    }
    while (atomic_load(&desk.latest)) {
    }
    atomic_store(&desk.is_over, true);
    pthread_join(reader, NULL);
    assert_true(desk.n_checked > 0);
    aggregate_free(stream.aggregate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_stays_as_it_was),
        cmocka_unit_test(history_goes_and_sums_stay),
        cmocka_unit_test(what_is_pending_is_not_dropped),
        cmocka_unit_test(readers_see_one_moment_while_spans_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
