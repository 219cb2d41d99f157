/* SPDX-License-Identifier: MIT */
#include "capture/linux/birth_period.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NOMINAL_NS UINT64_C(1111111)

static void few_births_leave_the_period_alone(void **state)
{
    (void)state;
    struct birth_period period;
    birth_period_init(&period, NOMINAL_NS, 1);
    for (int round = 0; round < 1000; round++) {
        assert_int_equal(birth_period_next(&period, round % 50 == 0 ? 1 : 0), 0);
    }
}

static void it_returns_to_nominal_when_births_cease(void **state)
{
    (void)state;
    struct birth_period period;
    birth_period_init(&period, NOMINAL_NS, 2);
    for (int round = 0; round < 200; round++) {
        birth_period_next(&period, 10);
    }
    for (int round = 0; round < 1000; round++) {
        birth_period_next(&period, 0);
    }
    assert_int_equal(period.current_ns, NOMINAL_NS);
}

/* Ages at which threads of 2 ms are sampled: even, however the period is drawn for each of them. */
static void samples_are_spread_over_a_short_life(void **state)
{
    (void)state;
    enum { BINS = 8, LIFE_NS = 2000000, HEAD_NS = LIFE_NS / 16 };
    struct birth_period period;
    birth_period_init(&period, NOMINAL_NS, 3);
    double n_samples[BINS] = {0}, n_all = 0, n_threads = 0;
    for (int round = 0; round < 400000; round++) {
        birth_period_next(&period, 10);
        n_threads++;
        for (uint64_t age_ns = period.current_ns; age_ns < LIFE_NS; age_ns += period.current_ns) {
            if (age_ns >= HEAD_NS) {
                n_samples[(age_ns - HEAD_NS) * BINS / (LIFE_NS - HEAD_NS)]++;
                n_all++;
            }
        }
    }
    for (int bin = 0; bin < BINS; bin++) {
        assert_true(n_samples[bin] > 0.85 * n_all / BINS);
        assert_true(n_samples[bin] < 1.15 * n_all / BINS);
    }
    /* … and not more of them than the nominal period would take. */
    double nominal = (double)LIFE_NS / NOMINAL_NS;
    assert_true(n_all / n_threads < 1.3 * nominal);
    assert_true(n_all / n_threads > 0.5 * nominal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_births_leave_the_period_alone),
        cmocka_unit_test(it_returns_to_nominal_when_births_cease),
        cmocka_unit_test(samples_are_spread_over_a_short_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
