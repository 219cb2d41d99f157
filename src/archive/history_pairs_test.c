/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/aggregate_test.h"
#include "archive/history_pairs.h"

static uint32_t number_of(struct history_pairs *pairs, thread_id thread, stack_id stack,
                          uint8_t slice_class)
{
    const struct sample_pair pair = {.thread = thread, .stack = stack, .slice_class = slice_class};
    uint32_t number = UINT32_MAX;
    assert_int_equal(history_pairs_find(pairs, &pair, &number), 0);
    return number;
}

static void samples_find_their_pairs(void **state)
{
    (void)state;
    const struct aggregate_config config = {0};
    struct aggregate *aggregate;
    struct random_life life = {.state = 8, .n_threads = 5, .sample_pct = 60, .has_switches = true};
    assert_int_equal(aggregate_new(&config, &aggregate), 0);
    random_life_play(&life, aggregate, 4000);
    /* Two samples of the instant that are alike, and wait for the end of their slice. */
    const uint64_t ips[] = {0x10101};
    for (int i = 0; i < 2; i++) {
        life.now_ns += 1000;
        tell_sample(aggregate, life.now_ns, TEST_PID, ips, 1);
    }
    struct snapshot *snapshot = aggregate_snapshot(aggregate, life.now_ns);
    assert_true(snapshot->n_newest >= 2);
    struct history_pairs pairs;
    assert_int_equal(history_pairs_init(&pairs, snapshot), 0);
    uint64_t n_met = 0;
    for (uint64_t i = snapshot->first_sample; i < snapshot->n_samples; i++) {
        const struct stored_sample *sample = snapshot_sample(snapshot, i);
        uint32_t count;
        uint32_t number = number_of(&pairs, sample->thread, sample->stack, sample->slice_class);
        struct sample_pair pair = history_pairs_get(&pairs, number, &count);
        assert_int_equal(pair.thread, sample->thread);
        assert_int_equal(pair.stack, sample->stack);
        assert_int_equal(pair.slice_class, sample->slice_class);
        n_met += count > 0;
    }
    assert_int_equal(n_met, snapshot->n_samples);
    assert_int_equal(history_pairs_count(&pairs), snapshot->n_pairs);
    /* One that the snapshot does not have comes behind its own. */
    uint32_t count;
    assert_int_equal(number_of(&pairs, 3, 77777, 2), snapshot->n_pairs);
    assert_int_equal(number_of(&pairs, 3, 77777, 2), snapshot->n_pairs);
    assert_int_equal(history_pairs_count(&pairs), snapshot->n_pairs + 1);
    assert_int_equal(history_pairs_get(&pairs, snapshot->n_pairs, &count).stack, 77777);
    assert_int_equal(count, 0);
    history_pairs_release(&pairs);
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_find_their_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
