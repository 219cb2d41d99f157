/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "interchange/import_weights.h"

struct tally {
    uint64_t n_samples, ns;
    uint64_t by_tid[4], ns_by_tid[4], in_first_half[4];
    uint64_t latest_ns;
};

static void play(struct import_weights *weights, struct tally *tally, uint64_t half_ns)
{
    const struct event_batch_limits limits = {.n_events = 512, .n_ips = 20000};
    struct event_batch *batch;
    bool has_more = true;
    memset(tally, 0, sizeof(*tally));
    assert_int_equal(event_batch_new(&limits, &batch), 0);
    while (has_more) {
        event_batch_clear(batch);
        has_more = import_weights_play(weights, batch);
        for (size_t i = 0; i < event_batch_count(batch); i++) {
            const struct event *event = event_batch_get(batch, i);
            assert_true(event->time_ns >= tally->latest_ns);
            tally->latest_ns = event->time_ns;
            tally->n_samples++;
            tally->ns += event->sample.period_ns;
            tally->by_tid[event->tid]++;
            tally->ns_by_tid[event->tid] += event->sample.period_ns;
            tally->in_first_half[event->tid] += event->time_ns <= half_ns;
        }
    }
    event_batch_free(batch);
}

static void add(struct import_weights *weights, int64_t tid, uint64_t n_samples, uint64_t ns)
{
    static const uint64_t ips[] = {1, 2, 3};
    const struct import_weight weight = {
        .ips = ips, .n_ips = 3, .tid = tid, .n_samples = n_samples, .ns = ns};
    assert_int_equal(import_weights_add(weights, &weight), 0);
}

/* Each stack has its samples and its time, and half of them in half of the time. */
static void test_spread(void **state)
{
    (void)state;
    struct import_weights weights;
    struct tally tally;
    bool is_scaled;
    import_weights_init(&weights);
    add(&weights, 1, 6000, 6000 * NS_PER_MS + 7);
    add(&weights, 2, 1000, 1000 * NS_PER_MS);
    add(&weights, 3, 40, 40 * NS_PER_MS);
    add(&weights, 3, 0, 0);
    assert_int_equal(import_weights_begin(&weights, 9, NS_PER_S, 2 * NS_PER_S, &is_scaled), 0);
    assert_false(is_scaled);
    play(&weights, &tally, 2 * NS_PER_S);
    assert_int_equal(tally.n_samples, 7040);
    assert_int_equal(tally.by_tid[1], 6000);
    assert_int_equal(tally.ns_by_tid[1], 6000 * NS_PER_MS + 7);
    assert_int_equal(tally.ns_by_tid[3], 40 * NS_PER_MS);
    assert_int_equal(tally.latest_ns, 3 * NS_PER_S);
    assert_in_range(tally.in_first_half[1], 2990, 3010);
    assert_in_range(tally.in_first_half[2], 495, 505);
    assert_in_range(tally.in_first_half[3], 18, 22);
    import_weights_release(&weights);
}

/* A time alone is as few samples as an event can tell it with. */
static void test_times_alone(void **state)
{
    (void)state;
    struct import_weights weights;
    struct tally tally;
    bool is_scaled;
    import_weights_init(&weights);
    add(&weights, 1, 0, 10 * NS_PER_S);
    add(&weights, 2, 1, 5);
    assert_int_equal(import_weights_begin(&weights, 9, NS_PER_S, 0, &is_scaled), 0);
    play(&weights, &tally, 0);
    assert_int_equal(tally.ns, 10 * NS_PER_S + 5);
    assert_int_equal(tally.by_tid[1], 3);
    assert_int_equal(tally.latest_ns, 11 * NS_PER_S + 5);
    import_weights_release(&weights);
}

static void test_too_many(void **state)
{
    (void)state;
    struct import_weights weights;
    struct tally tally;
    bool is_scaled;
    import_weights_init(&weights);
    add(&weights, 1, UINT64_MAX, 3000);
    add(&weights, 2, 10, 7000);
    assert_int_equal(import_weights_begin(&weights, 9, NS_PER_S, 0, &is_scaled), 0);
    assert_true(is_scaled);
    play(&weights, &tally, 0);
    assert_int_equal(tally.ns, 10000);
    assert_int_equal(tally.ns_by_tid[1], 3000);
    assert_int_equal(tally.by_tid[2], 10);
    assert_true(weights.ns_divisor == 1);
    import_weights_release(&weights);
    /* Centuries in each: what is played stays bounded. */
    import_weights_init(&weights);
    add(&weights, 1, 1, UINT64_MAX);
    add(&weights, 2, 1, UINT64_MAX);
    assert_int_equal(import_weights_begin(&weights, 9, NS_PER_S, 0, &is_scaled), 0);
    assert_true(weights.n_samples <= IMPORT_MAX_PLAYED + 2);
    import_weights_release(&weights);
}

/* What is much longer than the rest stays so. */
static void test_proportions(void **state)
{
    (void)state;
    struct import_weights weights;
    struct tally tally;
    bool is_scaled;
    import_weights_init(&weights);
    add(&weights, 1, 1, 90 * (UINT64_C(1) << 57));
    add(&weights, 2, 1, 9 * (UINT64_C(1) << 57));
    add(&weights, 3, 1, 1 * (UINT64_C(1) << 57));
    assert_int_equal(import_weights_begin(&weights, 9, NS_PER_S, 0, &is_scaled), 0);
    assert_true(weights.n_samples <= IMPORT_MAX_PLAYED + 3);
    assert_true(weights.ns_divisor > 1000);
    play(&weights, &tally, 0);
    uint64_t ns = tally.ns ? tally.ns : 1, n_samples = tally.n_samples ? tally.n_samples : 1;
    assert_in_range(tally.ns_by_tid[1] * 1000 / ns, 899, 900);
    assert_in_range(tally.ns_by_tid[2] * 1000 / ns, 89, 90);
    assert_in_range(tally.by_tid[1] * 1000 / n_samples, 899, 900);
    import_weights_release(&weights);
    /* Stacks that take less than their part of the samples leave it to none that needs it. */
    import_weights_init(&weights);
    add(&weights, 1, 1, 4000 * (uint64_t)UINT32_MAX);
    for (int i = 0; i < 9999; i++) {
        add(&weights, 2, 1000, 1000 * NS_PER_MS);
    }
    assert_int_equal(import_weights_begin(&weights, 9, NS_PER_S, 0, &is_scaled), 0);
    assert_true(is_scaled && weights.ns_divisor == 1);
    play(&weights, &tally, 0);
    assert_int_equal(tally.ns_by_tid[1], 4000 * (uint64_t)UINT32_MAX);
    assert_int_equal(tally.ns_by_tid[2], 9999 * NS_PER_S);
    import_weights_release(&weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spread),
        cmocka_unit_test(test_times_alone),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_proportions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
