/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "aggregate/aggregate_internal.h"
#include "aggregate/aggregate_test.h"
#include "aggregate/wait_cursor.h"

#define MAX_BYTES (1u << 22)

/* The same run twice: once with little memory, once with all it wants. */
struct fixture {
    struct aggregate *small, *large;
    struct random_life small_life, large_life;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    const struct aggregate_config bounded = {.max_memory_bytes = MAX_BYTES}, unbounded = {0};
    assert_int_equal(aggregate_new(&bounded, &fixture.small), 0);
    assert_int_equal(aggregate_new(&unbounded, &fixture.large), 0);
    fixture.small_life = (struct random_life){
        .state = 5, .n_threads = 10, .sample_pct = 60, .has_switches = true, .has_wakers = true};
    fixture.large_life = fixture.small_life;
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    fixture->small = aggregate_free(fixture->small);
    fixture->large = aggregate_free(fixture->large);
    return 0;
}

static void play(struct fixture *fixture, unsigned int n_steps)
{
    random_life_play(&fixture->small_life, fixture->small, n_steps);
    random_life_play(&fixture->large_life, fixture->large, n_steps);
}

/* Whole-run sums do not know that anything was folded. */
static void assert_same_sums(const struct snapshot *small, const struct snapshot *large)
{
    assert_int_equal(small->sequence, large->sequence);
    assert_int_equal(small->n_samples, large->n_samples);
    assert_int_equal(small->n_slices, large->n_slices);
    assert_int_equal(small->n_pairs, large->n_pairs);
    for (size_t i = 0; i < small->n_pairs; i++) {
        struct sample_pair one = snapshot_pair(small, i), other = snapshot_pair(large, i);
        assert_int_equal(one.thread, other.thread);
        assert_int_equal(one.stack, other.stack);
        assert_int_equal(small->pair_counts[i], large->pair_counts[i]);
    }
    assert_int_equal(small->n_threads, large->n_threads);
    for (size_t i = 0; i < small->n_threads; i++) {
        const struct thread_totals *one = &small->threads[i], *other = &large->threads[i];
        assert_int_equal(one->cpu_ns, other->cpu_ns);
        assert_int_equal(one->blocked_ns, other->blocked_ns);
        assert_int_equal(one->runnable_ns, other->runnable_ns);
        assert_int_equal(one->n_samples, other->n_samples);
        assert_int_equal(one->n_voluntary, other->n_voluntary);
    }
    assert_int_equal(small->n_waits, large->n_waits);
    assert_int_equal(small->n_wait_sums, large->n_wait_sums);
    assert_int_equal(small->n_wake_sums, large->n_wake_sums);
    for (size_t i = 0; i < small->n_wait_sums; i++) {
        const struct wait_sums *one = &small->wait_sums[i], *other = &large->wait_sums[i];
        assert_int_equal(one->thread, other->thread);
        assert_int_equal(one->stack, other->stack);
        assert_int_equal(one->n_waits, other->n_waits);
        assert_int_equal(one->blocked_ns, other->blocked_ns);
        assert_int_equal(one->runnable_ns, other->runnable_ns);
        assert_int_equal(one->max_blocked_ns, other->max_blocked_ns);
    }
    for (size_t i = 0; i < small->n_wake_sums; i++) {
        const struct wake_sums *one = &small->wake_sums[i], *other = &large->wake_sums[i];
        assert_int_equal(one->waker, other->waker);
        assert_int_equal(one->wakee, other->wakee);
        assert_int_equal(one->waker_stack, other->waker_stack);
        assert_int_equal(one->n_wakeups, other->n_wakeups);
        assert_int_equal(one->blocked_ns, other->blocked_ns);
    }
}

/* What is left of the history is the history; reads every byte of it. */
static void assert_same_history(const struct snapshot *small, const struct snapshot *large)
{
    for (uint64_t i = small->first_sample; i < small->n_samples; i++) {
        struct stored_sample one = *snapshot_sample(small, i), other = *snapshot_sample(large, i);
        if (i >= small->n_samples - small->n_newest) {
            other.slice_class = SLICE_CLASS_LONG; /* its slice may have ended since `small` */
            assert_true(one.slice_class <= SLICE_CLASS_LONG);
            one.slice_class = SLICE_CLASS_LONG;
        }
        assert_memory_equal(&one, &other, sizeof(one));
    }
    for (uint64_t i = small->first_slice; i < small->n_slices; i++) {
        const struct stored_slice *one = snapshot_slice(small, i);
        const struct stored_slice *other = snapshot_slice(large, i);
        assert_int_equal(one->start_ns, other->start_ns);
        assert_int_equal(one->end_ns, other->end_ns);
        assert_int_equal(one->thread, other->thread);
        assert_int_equal(one->before, other->before);
        assert_int_equal(one->after, other->after);
    }
    for (uint64_t i = small->first_wait; i < small->n_waits - small->n_newest_waits; i++) {
        const struct stored_wait *one = snapshot_wait(small, i), *other = snapshot_wait(large, i);
        assert_int_equal(one->start_ns, other->start_ns);
        assert_int_equal(one->wake_ns, other->wake_ns);
        assert_int_equal(one->end_ns, other->end_ns);
        assert_int_equal(one->thread, other->thread);
        assert_int_equal(one->stack, other->stack);
        assert_int_equal(one->waker, other->waker);
        assert_int_equal(one->waker_stack, other->waker_stack);
        assert_int_equal(one->object, other->object);
        assert_int_equal(one->flags, other->flags);
    }
}

static void sums_stay_and_history_goes(void **state)
{
    struct fixture *fixture = *state;
    play(fixture, 500000);
    struct snapshot *small = aggregate_snapshot(fixture->small, fixture->small_life.now_ns);
    struct snapshot *large = aggregate_snapshot(fixture->large, fixture->large_life.now_ns);
    assert_true(large->memory_bytes > 2 * MAX_BYTES);
    assert_true(small->memory_bytes <= MAX_BYTES);
    assert_true(small->first_sample > 0 && small->first_slice > 0 && small->first_wait > 0);
    assert_int_equal(large->first_sample, 0);
    assert_int_equal(large->folded_until_ns, 0);
    assert_same_sums(small, large);
    assert_same_history(small, large);

    /* From folded_until_ns on nothing is missing, and not much before it is left. */
    assert_true(small->folded_until_ns > small->start_ns);
    assert_true(small->folded_until_ns < small->now_ns);
    for (uint64_t i = 0; i < small->first_sample; i++) {
        assert_true(snapshot_sample(large, i)->time_ns <= small->folded_until_ns);
    }
    for (uint64_t i = 0; i < small->first_slice; i++) {
        assert_true(snapshot_slice(large, i)->end_ns <= small->folded_until_ns);
    }
    for (uint64_t i = 0; i < small->first_wait; i++) {
        assert_true(snapshot_wait(large, i)->end_ns <= small->folded_until_ns);
    }
    snapshot_unref(small);
    snapshot_unref(large);
}

static size_t n_dropped(const struct aggregate *aggregate)
{
    size_t n = 0;
    for (const struct dropped_chunk *dropped = aggregate->dropped; dropped;
         dropped = dropped->next) {
        n++;
    }
    return n;
}

/* Somebody reads an old snapshot at leisure while the run goes on and folds. */
static void a_snapshot_stays_readable_while_others_fold(void **state)
{
    struct fixture *fixture = *state;
    play(fixture, 60000);
    struct snapshot *old = aggregate_snapshot(fixture->small, fixture->small_life.now_ns);
    struct snapshot *old_large = aggregate_snapshot(fixture->large, fixture->large_life.now_ns);
    assert_int_equal(old->first_sample, 0);
    struct snapshot *middle = NULL;
    uint64_t n_samples = old->n_samples;
    for (int round = 0; round < 8; round++) {
        play(fixture, 60000);
        struct snapshot *brief = aggregate_snapshot(fixture->small, fixture->small_life.now_ns);
        if (round == 4) {
            middle = snapshot_ref(brief);
        }
        snapshot_unref(brief);
        assert_int_equal(old->n_samples, n_samples);
        assert_same_sums(old, old_large);
        assert_same_history(old, old_large);
    }
    struct snapshot *newest = aggregate_snapshot(fixture->small, fixture->small_life.now_ns);
    assert_true(newest->first_sample > n_samples); /* all that `old` shows has been folded */
    size_t n_held = n_dropped(fixture->small);
    assert_true(n_held > 10);

    /* What only `old` could see goes with it; what `middle` sees stays. */
    snapshot_unref(old);
    aggregate_sweep(fixture->small);
    assert_true(n_dropped(fixture->small) < n_held);
    assert_true(n_dropped(fixture->small) > 0);
    struct snapshot *large = aggregate_snapshot(fixture->large, fixture->large_life.now_ns);
    assert_same_history(middle, large);
    snapshot_unref(middle);
    aggregate_sweep(fixture->small);
    assert_int_equal(n_dropped(fixture->small), 0);
    assert_same_history(newest, large);
    snapshot_unref(newest);
    snapshot_unref(large);
    snapshot_unref(old_large);
}

static void what_cannot_be_folded_is_kept(void **state)
{
    (void)state;
    const struct aggregate_config config = {.max_memory_bytes = 1};
    _cleanup_(aggregate_freep) struct aggregate *aggregate = NULL;
    assert_int_equal(aggregate_new(&config, &aggregate), 0);
    struct random_life life = {.state = 9, .n_threads = 3, .sample_pct = 60, .has_switches = true};
    random_life_play(&life, aggregate, 100000);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, life.now_ns);
    /* Only the newest chunk of each is left, and the aggregate works on. */
    assert_true(snapshot->n_samples - snapshot->first_sample <= CHUNKED_ITEMS);
    assert_true(snapshot->n_slices - snapshot->first_slice <= CHUNKED_ITEMS);
    assert_int_equal(snapshot->n_samples, life.n_samples);
    snapshot_unref(snapshot);
}

/* A flight recorder: however long it runs, only so much is kept, and all of that. */
static void a_ring_keeps_its_length(void **state)
{
    struct fixture *fixture = *state;
    uint64_t ring_ns = 3000 * TEST_MS, most_bytes = 0;
    const struct aggregate_config config = {.ring_ns = ring_ns};
    fixture->small = aggregate_free(fixture->small);
    assert_int_equal(aggregate_new(&config, &fixture->small), 0);
    for (int round = 0; round < 40; round++) {
        play(fixture, 20000);
        struct snapshot *small = aggregate_snapshot(fixture->small, fixture->small_life.now_ns);
        struct snapshot *large = aggregate_snapshot(fixture->large, fixture->large_life.now_ns);
        assert_same_sums(small, large);
        assert_same_history(small, large);
        assert_true(small->folded_until_ns <= small->now_ns - ring_ns);
        if (round > 20) {
            /* Chunks and what is looked for now and then: not much more than that is kept. */
            assert_true(small->memory_bytes <= most_bytes + (1 << 20));
            assert_true(small->n_samples - small->first_sample < 10 * CHUNKED_ITEMS);
        } else {
            most_bytes = small->memory_bytes > most_bytes ? small->memory_bytes : most_bytes;
        }
        snapshot_unref(small);
        snapshot_unref(large);
    }
    struct snapshot *small = aggregate_snapshot(fixture->small, fixture->small_life.now_ns);
    assert_true(small->first_sample > 0 && small->first_slice > 0 && small->first_wait > 0);
    snapshot_unref(small);
}

/* The list of long waits is dropped with them, and finds those that are left. */
static void long_waits_go_with_the_rest(void **state)
{
    (void)state;
    const struct aggregate_config config = {.ring_ns = 10000 * TEST_MS};
    _cleanup_(aggregate_freep) struct aggregate *aggregate = NULL;
    assert_int_equal(aggregate_new(&config, &aggregate), 0);
    uint64_t time_ns = TEST_MS;
    uint64_t n_waits = 3 * CHUNKED_ITEMS;
    tell_in(aggregate, time_ns, TEST_PID);
    for (uint64_t i = 0; i < n_waits; i++) {
        tell_out(aggregate, time_ns + 10 * TEST_MS, TEST_PID, false);
        time_ns += 1500 * TEST_MS;
        tell_in(aggregate, time_ns, TEST_PID);
    }
    struct snapshot *snapshot = aggregate_snapshot(aggregate, time_ns);
    assert_int_equal(snapshot->n_waits, n_waits);
    assert_true(snapshot->first_long_wait > 0);
    assert_true(snapshot->first_long_wait < snapshot->n_long_waits);
    /* In an instant within one of them. */
    uint64_t within_ns = time_ns - 8200 * TEST_MS;
    struct wait_cursor cursor = wait_cursor_begin(snapshot, within_ns, within_ns + TEST_MS);
    const struct stored_wait *wait = wait_cursor_next(&cursor);
    assert_non_null(wait);
    assert_true(wait->start_ns < within_ns && wait->end_ns > within_ns);
    assert_null(wait_cursor_next(&cursor));
    snapshot_unref(snapshot);
}

static void everything_is_freed_with_the_aggregate(void **state)
{
    struct fixture *fixture = *state;
    play(fixture, 60000);
    struct snapshot *held = aggregate_snapshot(fixture->small, fixture->small_life.now_ns);
    assert_non_null(held);
    play(fixture, 200000);
    assert_true(n_dropped(fixture->small) > 0);
    /* tear_down() frees it with the snapshot still held: a leak checker tells. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sums_stay_and_history_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_snapshot_stays_readable_while_others_fold, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_ring_keeps_its_length, set_up, tear_down),
        cmocka_unit_test(long_waits_go_with_the_rest),
        cmocka_unit_test(what_cannot_be_folded_is_kept),
        cmocka_unit_test_setup_teardown(everything_is_freed_with_the_aggregate, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
