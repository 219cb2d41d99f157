/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/aggregate_test.h"
#include "aggregate/counters.h"

#define GROUP UINT64_C(77)
#define MS 1000000u

/* What a test says of one reading; values in the first slots. */
struct given {
    uint64_t group, enabled_ns, running_ns, value;
    thread_id thread;
    stack_id stack;
};

static int give(struct counters *counters, struct given given)
{
    static uint64_t time_ns;
    const struct event_counters reading = {
        .group = given.group,
        .enabled_ns = given.enabled_ns,
        .running_ns = given.running_ns,
        .slots = 3,
        .values = {given.value, 2 * given.value, 999, 999},
    };
    const struct stored_reading where = {
        .time_ns = ++time_ns, .thread = given.thread, .stack = given.stack};
    return counters_apply(counters, &reading, &where);
}

static uint64_t sum_of(const struct counters *counters, thread_id thread, stack_id stack,
                       size_t slot)
{
    for (size_t i = 0; i < counters->n_sums; i++) {
        if (counters->sums[i].thread == thread && counters->sums[i].stack == stack) {
            return counters->sums[i].values[slot];
        }
    }
    return UINT64_MAX;
}

static void what_was_added_belongs_to_where_the_thread_is_now(void **state)
{
    (void)state;
    struct counters counters;
    assert_int_equal(counters_init(&counters), 0);
    give(&counters, (struct given){GROUP, 1 * MS, 1 * MS, 100, 0, 1});
    give(&counters, (struct given){GROUP, 2 * MS, 2 * MS, 250, 0, 2});
    give(&counters, (struct given){GROUP, 3 * MS, 3 * MS, 260, 0, 1});
    /* The same group read for a thread that inherited it: from 0 again. */
    give(&counters, (struct given){GROUP, 1 * MS, 1 * MS, 7, 1, 1});
    /* A group of the same thread on another CPU. */
    give(&counters, (struct given){GROUP + 1, 4 * MS, 1 * MS, 5, 0, 1});
    assert_int_equal(sum_of(&counters, 0, 1, 0), 100 + 10 + 5);
    assert_int_equal(sum_of(&counters, 0, 2, 0), 150);
    assert_int_equal(sum_of(&counters, 0, 2, 1), 300);
    assert_int_equal(sum_of(&counters, 1, 1, 0), 7);
    assert_int_equal(sum_of(&counters, 0, 1, 2), 0); /* not among the slots */
    assert_int_equal(counters.readings.n_items, 5);
    const struct stored_reading *second = chunked_get(&counters.readings, 1);
    assert_int_equal(second->values[0], 150);
    assert_int_equal(second->enabled_ns, MS);
    assert_int_equal(counters.n_decreased + counters.n_turned_away, 0);
    assert_true(counters_memory_bytes(&counters) > 0);
    counters_release(&counters);
}

static void a_thread_on_two_cpus_is_no_multiplexing(void **state)
{
    (void)state;
    struct counters counters;
    assert_int_equal(counters_init(&counters), 0);
    /* 1 ms here, 1 ms there: each group counts half of the time that it is enabled. */
    uint64_t run_ns[2] = {0, 0};
    for (unsigned int i = 1; i <= 100; i++) {
        run_ns[i % 2] += MS;
        give(&counters,
             (struct given){GROUP + i % 2, i * MS, run_ns[i % 2], 10 * run_ns[i % 2] / MS, 0, 1});
    }
    assert_int_equal(counters.times[0].enabled_ns, 100 * MS);
    assert_int_equal(counters.times[0].running_ns, 100 * MS);
    assert_true(counter_time_scale(&counters.times[0]) == 1.0);
    assert_int_equal(sum_of(&counters, 0, 1, 0), 1000);
    counters_release(&counters);
}

static void ends_of_turns_on_a_cpu_are_no_multiplexing(void **state)
{
    (void)state;
    struct counters counters;
    assert_int_equal(counters_init(&counters), 0);
    /* On each of 4 CPUs up to 0.9 ms are not read before the thread moves on, and are with the
     * next reading there. */
    uint64_t run_ns[4] = {0}, now_ns = 0;
    for (unsigned int turn = 0; turn < 40; turn++) {
        unsigned int cpu = turn % 4;
        for (unsigned int i = 0; i < 3; i++) {
            uint64_t step_ns = i == 0 ? MS / 10 : MS;
            run_ns[cpu] += step_ns;
            now_ns += step_ns;
            give(&counters, (struct given){GROUP + cpu, now_ns, run_ns[cpu], 1, 0, 1});
        }
        run_ns[cpu] += 9 * MS / 10;
        now_ns += 9 * MS / 10;
        assert_true(counter_time_scale(&counters.times[0]) == 1.0);
    }
    counters_release(&counters);
}

static void half_of_the_time_counts_twice(void **state)
{
    (void)state;
    struct counters counters;
    assert_int_equal(counters_init(&counters), 0);
    /* Counters that are there for 4 ms and away for 4 ms. */
    uint64_t running_ns = 0, value = 0;
    for (unsigned int i = 1; i <= 400; i++) {
        if ((i - 1) / 4 % 2 == 0) {
            running_ns += MS;
            value += 1000;
            give(&counters, (struct given){GROUP, i * MS, running_ns, value, 0, 1});
        }
    }
    double scale = counter_time_scale(&counters.times[0]);
    assert_true(scale > 1.97 && scale < 2.03);
    assert_int_equal(sum_of(&counters, 0, 1, 0), 200000); /* as counted */
    counters_release(&counters);
}

static void counters_that_never_counted_say_nothing(void **state)
{
    (void)state;
    struct counters counters;
    assert_int_equal(counters_init(&counters), 0);
    give(&counters, (struct given){GROUP, 5 * MS, 0, 0, 0, 1});
    give(&counters, (struct given){GROUP, 9 * MS, 0, 0, 0, 1});
    assert_int_equal(counters.times[0].enabled_ns, 9 * MS);
    assert_true(counter_time_scale(&counters.times[0]) == 0.0);
    counters_release(&counters);
}

static void a_reading_that_goes_back_is_dropped_and_counted(void **state)
{
    (void)state;
    struct counters counters;
    assert_int_equal(counters_init(&counters), 0);
    give(&counters, (struct given){GROUP, 2 * MS, 2 * MS, 1000, 0, 1});
    give(&counters, (struct given){GROUP, 3 * MS, 3 * MS, 400, 0, 1}); /* value */
    assert_int_equal(counters.n_decreased, 1);
    give(&counters, (struct given){GROUP, 4 * MS, 4 * MS, 450, 0, 1});
    assert_int_equal(sum_of(&counters, 0, 1, 0), 1050);
    give(&counters, (struct given){GROUP, 5 * MS, 1 * MS, 460, 0, 1}); /* time */
    assert_int_equal(counters.n_decreased, 2);
    give(&counters, (struct given){GROUP, 1 * MS, 2 * MS, 470, 0, 1}); /* the other time */
    assert_int_equal(counters.n_decreased, 3);
    assert_int_equal(sum_of(&counters, 0, 1, 0), 1050);
    assert_int_equal(counters.readings.n_items, 2);
    counters_release(&counters);
}

static void many_threads_and_places_are_told_apart(void **state)
{
    (void)state;
    struct counters counters;
    assert_int_equal(counters_init(&counters), 0);
    for (uint32_t thread = 0; thread < 300; thread++) {
        for (uint32_t stack = 0; stack < 20; stack++) {
            uint64_t ns = (uint64_t)(stack + 1) * MS;
            assert_int_equal(
                give(&counters, (struct given){GROUP + thread % 3, ns, ns,
                                               (stack + 1) * (thread + 1), thread, stack}),
                0);
        }
    }
    assert_int_equal(counters.n_sums, 6000);
    assert_int_equal(counters.n_bases, 300);
    assert_int_equal(counters.n_times, 300);
    for (uint32_t thread = 0; thread < 300; thread++) {
        assert_int_equal(sum_of(&counters, thread, 19, 0), thread + 1);
        assert_int_equal(counters.times[thread].running_ns, 20 * MS);
    }
    counters_release(&counters);
}

static void tell_reading(struct aggregate *aggregate, uint64_t time_ns, int64_t tid, uint64_t value,
                         uint64_t ip)
{
    const struct event_counters counters = {.group = GROUP,
                                            .enabled_ns = time_ns,
                                            .running_ns = time_ns,
                                            .slots = 1,
                                            .values = {value}};
    tell(aggregate, (struct event){.kind = EVENT_COUNTERS,
                                   .time_ns = time_ns,
                                   .pid = TEST_PID,
                                   .tid = tid,
                                   .stack = {.ips = &ip, .n_ips = 1},
                                   .counters = &counters});
}

static void snapshots_keep_what_they_saw(void **state)
{
    (void)state;
    const struct aggregate_config config = {0};
    _cleanup_(aggregate_freep) struct aggregate *aggregate = NULL;
    assert_int_equal(aggregate_new(&config, &aggregate), 0);
    tell_reading(aggregate, 1000, TEST_PID, 10, 0x1000);
    tell_reading(aggregate, 2000, TEST_PID, 30, 0x1000);
    struct snapshot *before = aggregate_snapshot(aggregate, 3000);
    tell_reading(aggregate, 4000, TEST_PID, 100, 0x1000);
    tell_reading(aggregate, 5000, TEST_PID + 1, 1, 0x2000);
    struct snapshot *after = aggregate_snapshot(aggregate, 6000);
    assert_int_equal(before->n_counter_sums, 1);
    assert_int_equal(before->counter_sums[0].values[0], 30);
    assert_int_equal(before->counter_sums[0].n_readings, 2);
    assert_int_equal(before->n_readings, 2);
    assert_int_equal(after->n_counter_sums, 2);
    assert_int_equal(after->counter_sums[0].values[0], 100);
    assert_int_equal(after->n_counter_times, 2);
    assert_int_equal(after->counter_times[0].running_ns, 4000);
    assert_int_equal(after->n_readings, 4);
    assert_int_equal(snapshot_reading(after, 2)->values[0], 70);
    assert_int_equal(snapshot_reading(after, 2)->time_ns, 4000);
    assert_int_equal(after->n_readings_dropped, 0);
    assert_int_equal(after->threads[0].n_samples, 0); /* readings are no samples */
    snapshot_unref(before);
    snapshot_unref(after);
}

static void old_readings_make_room(void **state)
{
    (void)state;
    const struct aggregate_config config = {.max_memory_bytes = 4u << 20};
    _cleanup_(aggregate_freep) struct aggregate *aggregate = NULL;
    assert_int_equal(aggregate_new(&config, &aggregate), 0);
    for (uint64_t i = 1; i <= 100000; i++) {
        tell_reading(aggregate, i * 1000, TEST_PID, i, 0x1000);
    }
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 100000001);
    assert_true(snapshot->first_reading > 0);
    assert_true(snapshot->folded_until_ns > 0);
    assert_int_equal(snapshot->counter_sums[0].values[0], 100000); /* sums stay */
    assert_true(snapshot->memory_bytes <= config.max_memory_bytes + (1u << 18));
    snapshot_unref(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_belongs_to_where_the_thread_is_now),
        cmocka_unit_test(a_thread_on_two_cpus_is_no_multiplexing),
        cmocka_unit_test(ends_of_turns_on_a_cpu_are_no_multiplexing),
        cmocka_unit_test(half_of_the_time_counts_twice),
        cmocka_unit_test(counters_that_never_counted_say_nothing),
        cmocka_unit_test(a_reading_that_goes_back_is_dropped_and_counted),
        cmocka_unit_test(many_threads_and_places_are_told_apart),
        cmocka_unit_test(snapshots_keep_what_they_saw),
        cmocka_unit_test(old_readings_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
