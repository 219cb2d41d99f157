/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "compare/share_difference.h"

static void assert_near(double value, double expected)
{
    if (fabs(value - expected) > 1e-6 * fmax(1, fabs(expected))) {
        fail_msg("%.9g is not %.9g", value, expected);
    }
}

static void two_proportions_are_compared_as_in_books(void **state)
{
    (void)state;
    const struct share_estimate base = {.ratio = 0.20, .n_samples = 1000};
    const struct share_estimate candidate = {.ratio = 0.26, .n_samples = 2000};
    /* Pooled: 720 of 3000. */
    double variance = share_difference_least_variance(&base, &candidate);
    assert_near(variance, 0.24 * 0.76 * (1.0 / 1000 + 1.0 / 2000));
    double deviation = 0.24 * 0.76 * 0.03;
    assert_near(share_difference_unseen_variance(&base, &candidate, 0.03),
                2 * deviation * deviation);
    struct compare_share share;
    share_difference_judge(&base, &candidate, variance, 1e6, &share);
    assert_true(share.is_tested);
    assert_near(share.base_pct, 20);
    assert_near(share.candidate_pct, 26);
    assert_near(share.delta_pp, 6);
    double half_pp = 1.959966 * 100 * sqrt(variance);
    assert_true(fabs(share.high_pp - (6 + half_pp)) < 1e-4);
    assert_true(fabs(share.low_pp - (6 - half_pp)) < 1e-4);
    /* z = 3.627: 0.000287 on both sides. */
    assert_true(fabs(share.p_value - 0.000287) < 2e-6);
}

static void fewer_degrees_make_wider_intervals(void **state)
{
    (void)state;
    const struct share_estimate base = {.ratio = 0.5, .n_samples = 100};
    const struct share_estimate candidate = {.ratio = 0.4, .n_samples = 100};
    struct compare_share sure, unsure;
    share_difference_judge(&base, &candidate, 0.0025, 100, &sure);
    share_difference_judge(&base, &candidate, 0.0025, 4, &unsure);
    assert_near(sure.delta_pp, -10);
    assert_near(unsure.low_pp, -10 - 2.7764451052 * 5);
    assert_true(unsure.low_pp < sure.low_pp && unsure.high_pp > sure.high_pp);
    assert_true(unsure.p_value > sure.p_value);
}

static void what_is_left_out_says_nothing(void **state)
{
    (void)state;
    const struct share_estimate base = {.ratio = 0, .n_samples = 100};
    const struct share_estimate candidate = {.ratio = 0.01, .n_samples = 100};
    struct compare_share share;
    share_difference_leave(&base, &candidate, &share);
    assert_near(share.delta_pp, 1);
    assert_false(share.is_tested || share.is_significant);
    assert_true(share.p_value == 1 && share.adjusted_p == 1);
}

static void many_tests_are_corrected_for(void **state)
{
    (void)state;
    static const double p_values[] = {0.011, 0.03, 0.0100, 0.9, 0.0001};
    static const double adjusted[] = {0.04, 0.06, 0.04, 0.9, 0.0005};
    struct compare_share shares[5] = {0}, *all[5];
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t i = 0; i < 5; i++) {
        shares[i].p_value = p_values[i];
        all[i] = &shares[i];
    }
    assert_int_equal(share_difference_correct(all, 5, &arena), 0);
    for (size_t i = 0; i < 5; i++) {
        assert_near(shares[i].adjusted_p, adjusted[i]);
        assert_int_equal(shares[i].is_significant, adjusted[i] < SHARE_DIFFERENCE_LEVEL);
    }
    assert_int_equal(share_difference_correct(all, 0, &arena), 0);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_proportions_are_compared_as_in_books),
        cmocka_unit_test(fewer_degrees_make_wider_intervals),
        cmocka_unit_test(what_is_left_out_says_nothing),
        cmocka_unit_test(many_tests_are_corrected_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
