/* SPDX-License-Identifier: MIT */
#include "capture/linux/birth_period.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NOMINAL_NS UINT64_C(1111111)
#define ROUND_NS UINT64_C(20000000)

static void few_births_leave_the_period_alone(void **state)
{
    (void)state;
    struct birth_period period;
    birth_period_init(&period, NOMINAL_NS, 0, 1);
    for (uint64_t round = 1; round < 1000; round++) {
        assert_false(birth_period_is_due(&period, round % 50 == 0, round * ROUND_NS));
        assert_int_equal(birth_period_draw(&period, 0), NOMINAL_NS);
        assert_int_equal(birth_period_left(&period, round * ROUND_NS), UINT64_MAX);
    }
}

static void it_returns_to_nominal_when_births_cease(void **state)
{
    (void)state;
    struct birth_period period;
    uint64_t now_ns = 0;
    birth_period_init(&period, NOMINAL_NS, now_ns, 2);
    for (int round = 0; round < 200; round++) {
        birth_period_is_due(&period, 10, now_ns += ROUND_NS);
    }
    assert_true(period.has_churn);
    int n_due = 0;
    for (int round = 0; round < 1000; round++) {
        n_due += birth_period_is_due(&period, 0, now_ns += ROUND_NS);
    }
    assert_true(n_due > 0 && n_due < 500);
    assert_false(period.has_churn);
    assert_int_equal(birth_period_draw(&period, 0), NOMINAL_NS);
}

/* What wakes the reader early does not change how long a drawn period holds. */
static void slots_do_not_depend_on_rounds(void **state)
{
    (void)state;
    struct birth_period period;
    uint64_t now_ns = 0;
    birth_period_init(&period, NOMINAL_NS, now_ns, 4);
    while (!birth_period_is_due(&period, 10, now_ns += ROUND_NS)) {
    }
    int n_due = 0;
    for (int round = 0; round < 10000; round++) {
        n_due += birth_period_is_due(&period, round % 10 == 0, now_ns += BIRTH_PERIOD_SLOT_NS / 10);
        assert_true(birth_period_left(&period, now_ns) <= BIRTH_PERIOD_SLOT_NS);
    }
    assert_int_equal(n_due, 1000);
    assert_int_equal(birth_period_left(&period, now_ns + ROUND_NS), 0);
}

#define BINS 8

struct spread {
    double bins[BINS], n_all, n_threads;
};

/* Ages at which threads that live so long are sampled, from head_ns on. */
static struct spread spread_of(uint64_t life_ns, uint64_t head_ns, uint64_t least_ns)
{
    struct birth_period period;
    struct spread spread = {0};
    birth_period_init(&period, NOMINAL_NS, 0, 3);
    (void)birth_period_is_due(&period, 1000, ROUND_NS);
    for (int thread = 0; thread < 400000; thread++) {
        uint64_t period_ns = birth_period_draw(&period, least_ns);
        assert_true(period_ns >= least_ns);
        spread.n_threads++;
        for (uint64_t age_ns = period_ns; age_ns < life_ns; age_ns += period_ns) {
            if (age_ns >= head_ns) {
                spread.bins[(age_ns - head_ns) * BINS / (life_ns - head_ns)]++;
                spread.n_all++;
            }
        }
    }
    return spread;
}

static void assert_even(const struct spread *spread)
{
    for (int bin = 0; bin < BINS; bin++) {
        assert_true(spread->bins[bin] > 0.85 * spread->n_all / BINS);
        assert_true(spread->bins[bin] < 1.15 * spread->n_all / BINS);
    }
}

static void samples_are_spread_over_a_short_life(void **state)
{
    (void)state;
    const uint64_t life_ns = 2000000;
    struct spread spread = spread_of(life_ns, life_ns / 32, 0);
    assert_even(&spread);
    /* … and not more of them than the nominal period would take. */
    double nominal = (double)life_ns / NOMINAL_NS;
    assert_true(spread.n_all / spread.n_threads < 1.3 * nominal);
    assert_true(spread.n_all / spread.n_threads > 0.5 * nominal);
}

/* Large samples: the ring would overflow with the shortest periods. */
static void large_samples_are_spread_over_the_rest_of_a_life(void **state)
{
    (void)state;
    const uint64_t life_ns = 2000000, least_ns = 200000;
    struct spread spread = spread_of(life_ns, least_ns, least_ns);
    assert_even(&spread);
    double nominal = (double)life_ns / NOMINAL_NS;
    assert_true(spread.n_all / spread.n_threads < 1.3 * nominal);
    assert_true(spread.n_all / spread.n_threads > 0.5 * nominal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_births_leave_the_period_alone),
        cmocka_unit_test(it_returns_to_nominal_when_births_cease),
        cmocka_unit_test(slots_do_not_depend_on_rounds),
        cmocka_unit_test(samples_are_spread_over_a_short_life),
        cmocka_unit_test(large_samples_are_spread_over_the_rest_of_a_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
