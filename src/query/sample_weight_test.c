/* SPDX-License-Identifier: MIT */
#include "query/sample_weight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PERIOD_NS 1000000u

static void set_class(struct snapshot *snapshot, size_t slice_class, uint64_t n_slices,
                      uint64_t length_ns, uint64_t n_samples)
{
    snapshot->class_ns[slice_class] = n_slices * length_ns;
    snapshot->class_slices[slice_class] = n_slices;
    snapshot->class_samples[slice_class] = n_samples;
    snapshot->class_met_ns[slice_class] = n_samples * PERIOD_NS;
}

/* 400 000 slices of 200 us of which 20 us are missed each time, and long ones. */
static void make_missed(struct snapshot *snapshot)
{
    *snapshot = (struct snapshot){.n_kernel_samples = 1};
    set_class(snapshot, 3, 400000, 200000, 72000);
    set_class(snapshot, SLICE_CLASS_LONG, 1000, 20000000, 20000);
}

static void assert_near(uint64_t value, double wanted, double tolerance)
{
    assert_true((double)value >= wanted - tolerance && (double)value <= wanted + tolerance);
}

static void assert_all_equal(const struct snapshot *snapshot)
{
    struct sample_weights weights;
    sample_weights_compute(snapshot, &weights);
    assert_int_equal(weights.missed_ns, 0);
    for (size_t i = 0; i < SLICE_CLASS_N; i++) {
        assert_int_equal(weights.by_class[i], SAMPLE_WEIGHT_ONE);
    }
}

static void what_is_missed_per_slice_is_found(void **state)
{
    (void)state;
    struct snapshot snapshot;
    struct sample_weights weights;
    make_missed(&snapshot);
    set_class(&snapshot, 0, 500, 15000, 1); /* too short to tell, and halved at most */
    set_class(&snapshot, 2, 1, 100000, 0);
    sample_weights_compute(&snapshot, &weights);
    assert_near(weights.missed_ns, 20000, 40);
    assert_near(weights.by_class[3], SAMPLE_WEIGHT_ONE / 0.9, 20);
    assert_near(weights.by_class[2], SAMPLE_WEIGHT_ONE / 0.8, 50);
    assert_int_equal(weights.by_class[0], 2 * SAMPLE_WEIGHT_ONE);
    assert_near(weights.by_class[SLICE_CLASS_LONG], SAMPLE_WEIGHT_ONE * 1.001, 5);
    assert_int_equal(weights.by_class[5], SAMPLE_WEIGHT_ONE); /* nothing there */

    set_class(&snapshot, 3, 400000, 200000, 20000);
    sample_weights_compute(&snapshot, &weights);
    assert_int_equal(weights.missed_ns, SAMPLE_WEIGHT_MISSED_MAX_NS);
}

static void chance_is_left_out(void **state)
{
    (void)state;
    struct snapshot snapshot;
    struct sample_weights weights;
    make_missed(&snapshot);
    set_class(&snapshot, 3, 5000, 200000, 1000); /* as many as are due */
    assert_all_equal(&snapshot);
    set_class(&snapshot, 3, 5000, 200000, 1030); /* more than that */
    assert_all_equal(&snapshot);
    set_class(&snapshot, 3, 5000, 200000, 970); /* within chance: it has a deviation of 31 */
    assert_all_equal(&snapshot);
    set_class(&snapshot, 3, 5000, 200000, 940); /* twice that, so three quarters of 12 us */
    sample_weights_compute(&snapshot, &weights);
    assert_near(weights.missed_ns, 9000, 200);
    set_class(&snapshot, 3, 1200, 200000, SAMPLE_WEIGHT_MIN_SAMPLES - 1);
    assert_all_equal(&snapshot);
}

static void other_causes_are_not_taken_for_it(void **state)
{
    (void)state;
    struct snapshot snapshot;
    struct sample_weights weights;
    make_missed(&snapshot);
    snapshot.n_kernel_samples = 0;
    assert_all_equal(&snapshot);

    make_missed(&snapshot);
    snapshot.class_met_ns[3] = 0; /* the period is not known */
    assert_all_equal(&snapshot);

    /* 4 % of all samples were lost on their way, 10 % missed. */
    make_missed(&snapshot);
    snapshot.class_samples[3] = snapshot.class_samples[3] * 96 / 100;
    snapshot.class_met_ns[3] = snapshot.class_samples[3] * PERIOD_NS;
    snapshot.lost[EVENT_LOST_RING_FULL] = (72000 - 69120) + 800;
    sample_weights_compute(&snapshot, &weights);
    assert_near(weights.missed_ns, 19200, 200);
    snapshot.lost[EVENT_LOST_THROTTLED] = 50000;
    assert_all_equal(&snapshot);

    /* The timer did not keep up: as much is missing in long slices. */
    make_missed(&snapshot);
    set_class(&snapshot, SLICE_CLASS_LONG, 1000, 20000000, 18000);
    assert_all_equal(&snapshot);
    set_class(&snapshot, SLICE_CLASS_LONG, 1000, 20000000, 19000);
    sample_weights_compute(&snapshot, &weights);
    assert_near(weights.missed_ns, 10000, 50);
    set_class(&snapshot, SLICE_CLASS_LONG, 20, 20000000, 380); /* as it may happen by chance */
    sample_weights_compute(&snapshot, &weights);
    assert_near(weights.missed_ns, 20000, 50);

    snapshot = (struct snapshot){.n_kernel_samples = 1};
    assert_all_equal(&snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missed_per_slice_is_found),
        cmocka_unit_test(chance_is_left_out),
        cmocka_unit_test(other_causes_are_not_taken_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
