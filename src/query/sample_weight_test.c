/* SPDX-License-Identifier: MIT */
#include "query/sample_weight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct sample_weights weights_in(uint64_t n_kernel_samples, const uint64_t (*counts)[2])
{
    struct snapshot snapshot = {.n_kernel_samples = n_kernel_samples};
    for (size_t i = 0; i < SLICE_CLASS_N; i++) {
        snapshot.class_ns[i] = counts[i][0];
        snapshot.class_samples[i] = counts[i][1];
    }
    struct sample_weights weights;
    sample_weights_compute(&snapshot, &weights);
    return weights;
}

static struct sample_weights weights_of(const uint64_t (*counts)[2])
{
    return weights_in(1, counts);
}

static void a_class_gets_its_own_time(void **state)
{
    (void)state;
    const uint64_t counts[SLICE_CLASS_N][2] = {
        {1000000, 64}, {900000, 100}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, {8000000, 1000}};
    const struct sample_weights weights = weights_of(counts);
    assert_int_equal(weights.class_ns[0], 1000000 / 64);
    assert_int_equal(weights.class_ns[1], 9000);
    assert_int_equal(weights.class_ns[SLICE_CLASS_LONG], 8000);
}

static void few_samples_are_taken_together(void **state)
{
    (void)state;
    const uint64_t counts[SLICE_CLASS_N][2] = {{100000, 0}, {200000, 20}, {300000, 50},
                                               {0, 0},      {0, 63},      {640000, 1},
                                               {10, 5},     {90000, 40}};
    const struct sample_weights weights = weights_of(counts);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(weights.class_ns[i], 600000 / 70);
    }
    for (size_t i = 3; i < SLICE_CLASS_N; i++) { /* the last 45 are no group of their own */
        assert_int_equal(weights.class_ns[i], (640000 + 90010) / 109);
    }
}

static void without_evidence_all_are_equal(void **state)
{
    (void)state;
    const uint64_t none[SLICE_CLASS_N][2] = {{0}}, few[SLICE_CLASS_N][2] = {{5000, 1}, {100, 62}};
    const uint64_t timeless[SLICE_CLASS_N][2] = {{0, 100}, {0, 0}, {1000, 1}};
    for (size_t i = 0; i < SLICE_CLASS_N; i++) {
        assert_int_equal(weights_of(none).class_ns[i], 1);
        assert_int_equal(weights_of(few).class_ns[i], 5100 / 63);
        assert_int_equal(weights_of(timeless).class_ns[i], 1000 / 101);
    }
    const uint64_t enough[SLICE_CLASS_N][2] = {{5000, 100}, {5000, 200}};
    assert_int_equal(weights_of(enough).class_ns[0], 50);
    for (size_t i = 0; i < SLICE_CLASS_N; i++) { /* nobody looked into the kernel */
        assert_int_equal(weights_in(0, enough).class_ns[i], 1);
    }
    const uint64_t only_time[SLICE_CLASS_N][2] = {{5000, 0}};
    assert_int_equal(weights_of(only_time).class_ns[0], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_class_gets_its_own_time),
        cmocka_unit_test(few_samples_are_taken_together),
        cmocka_unit_test(without_evidence_all_are_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
