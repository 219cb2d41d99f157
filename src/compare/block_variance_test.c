/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "base/hash_table.h"
#include "compare/block_variance.h"

#define SERIES_N 400

static uint64_t seed;

/* Uniform, mean 0, variance 1. */
static double noise(void)
{
    double unit = (double)(hash_u64(++seed) >> 11) / (double)(UINT64_C(1) << 53);
    return (unit - 0.5) * sqrt(12);
}

static double mean_of(const double *series, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += series[i] / (double)n;
    }
    return sum;
}

/*
 * Makes many series, each value `memory` times the one before and new noise;
 * the mean of the estimated variances over the variance that the means have.
 */
static double ratio_to_truth(const struct block_plan *plan, double memory,
                             double *ret_spread_of_estimates)
{
    double estimates = 0, squares = 0, truth = 0;
    for (size_t s = 0; s < SERIES_N; s++) {
        double series[BLOCK_VARIANCE_MAX_BINS], value = noise() / sqrt(1 - memory * memory);
        for (size_t i = 0; i < plan->n_bins; i++) {
            value = memory * value + noise();
            series[i] = value;
        }
        double estimate = block_plan_variance(plan, series);
        double mean = mean_of(series, plan->n_bins);
        estimates += estimate / SERIES_N;
        squares += estimate * estimate / SERIES_N;
        truth += mean * mean / SERIES_N;
    }
    *ret_spread_of_estimates = (squares - estimates * estimates) / (estimates * estimates);
    return estimates / truth;
}

static void bins_follow_the_samples(void **state)
{
    (void)state;
    assert_int_equal(block_plan_bins(0), 0);
    assert_int_equal(block_plan_bins(63), 0);
    assert_int_equal(block_plan_bins(64), BLOCK_VARIANCE_MIN_BINS);
    assert_int_equal(block_plan_bins(100), 48);
    assert_int_equal(block_plan_bins(1e9), BLOCK_VARIANCE_MAX_BINS);
}

static void variance_of_noise_is_met(void **state)
{
    (void)state;
    static const size_t n_bins[] = {32, 48, 256};
    for (size_t i = 0; i < 3; i++) {
        struct arena arena;
        struct block_plan plan;
        double spread;
        arena_init(&arena, 0);
        assert_int_equal(block_plan_make(n_bins[i], BLOCK_VARIANCE_BLOCKS, &arena, &plan), 0);
        double ratio = ratio_to_truth(&plan, 0, &spread);
        /* 400 means: their variance is known to 7 %. */
        assert_true(ratio > 0.8 && ratio < 1.25);
        /* A variance with f degrees of freedom spreads by 2 / f; of even noise by less. */
        assert_true(plan.freedom > 12 && plan.freedom < 20);
        assert_true(spread > 1.1 / plan.freedom && spread < 2.8 / plan.freedom);
        arena_release(&arena);
    }
}

static void what_lasts_is_seen(void **state)
{
    (void)state;
    struct arena arena;
    struct block_plan plan;
    double spread;
    arena_init(&arena, 0);
    assert_int_equal(block_plan_make(256, BLOCK_VARIANCE_BLOCKS, &arena, &plan), 0);
    /* Taken for independent, the variance would be 1 / 9 of the truth. */
    double ratio = ratio_to_truth(&plan, 0.8, &spread);
    assert_true(ratio > 0.7 && ratio < 1.2);
    arena_release(&arena);
}

static void what_repeats_is_no_chance(void **state)
{
    (void)state;
    struct arena arena;
    struct block_plan plan;
    double series[256], shifted[256];
    arena_init(&arena, 0);
    assert_int_equal(block_plan_make(256, BLOCK_VARIANCE_BLOCKS, &arena, &plan), 0);
    for (size_t i = 0; i < 256; i++) {
        series[i] = sin(2 * M_PI * (double)i / 7.3);
        shifted[i] = 5 + series[i];
    }
    /* Independent values as different would have 1 / 512. */
    double variance = block_plan_variance(&plan, series);
    assert_true(variance < 0.02 / 512);
    assert_true(fabs(block_plan_variance(&plan, shifted) - variance) < 1e-12);
    arena_release(&arena);
}

static void one_burst_is_worth_one_deviation(void **state)
{
    (void)state;
    struct arena arena;
    struct block_plan plan;
    arena_init(&arena, 0);
    assert_int_equal(block_plan_make(64, BLOCK_VARIANCE_BLOCKS, &arena, &plan), 0);
    for (size_t at = 0; at < 64; at += 21) { /* at the very beginning, too */
        double series[64] = {0};
        series[at] = 1;
        double deviation = sqrt(block_plan_variance(&plan, series));
        assert_true(fabs(deviation * 64 - 1) < 0.05);
    }
    double constant[64] = {0};
    assert_true(block_plan_variance(&plan, constant) == 0);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bins_follow_the_samples),
        cmocka_unit_test(variance_of_noise_is_met),
        cmocka_unit_test(what_lasts_is_seen),
        cmocka_unit_test(what_repeats_is_no_chance),
        cmocka_unit_test(one_burst_is_worth_one_deviation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
