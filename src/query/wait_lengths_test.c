/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "query/wait_lengths.h"

static int compare(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

/* Adds `n` lengths of a wide range; what is told, and what is true. */
static void ask(size_t n, uint64_t seed, uint64_t *ret_told_ns, uint64_t *ret_true_ns)
{
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    struct wait_lengths lengths = {0};
    uint64_t *all = calloc(n, sizeof(*all));
    assert_non_null(all);
    for (size_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        all[i] = (seed >> 20) >> (seed % 44);
        assert_int_equal(wait_lengths_add(&lengths, &arena, all[i]), 0);
    }
    qsort(all, n, sizeof(*all), compare);
    *ret_true_ns = all[(n - 1) / 2];
    *ret_told_ns = wait_lengths_median(&lengths);
    assert_int_equal(lengths.n_lengths, n);
    assert_int_equal(lengths.max_ns, all[n - 1]);
    free(all);
}

static void few_lengths_have_an_exact_median(void **state)
{
    (void)state;
    struct wait_lengths none = {0};
    assert_int_equal(wait_lengths_median(&none), 0);
    for (size_t n = 1; n <= WAIT_LENGTHS_EXACT; n++) {
        uint64_t told_ns, true_ns;
        ask(n, n, &told_ns, &true_ns);
        assert_int_equal(told_ns, true_ns);
    }
}

static void many_lengths_have_a_median_within_a_class(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        uint64_t told_ns, true_ns;
        ask(WAIT_LENGTHS_EXACT + 1 + 97 * seed, seed, &told_ns, &true_ns);
        uint64_t error_ns = told_ns > true_ns ? told_ns - true_ns : true_ns - told_ns;
        assert_true(error_ns * 100 <= true_ns * 7);
    }
}

static void equal_lengths_are_told_as_they_are(void **state)
{
    (void)state;
    const uint64_t extremes_ns[] = {0, 1, 15, 16, 17, 1000003, UINT64_MAX};
    for (size_t e = 0; e < sizeof(extremes_ns) / sizeof(*extremes_ns); e++) {
        _cleanup_(arena_releasep) struct arena arena;
        arena_init(&arena, 0);
        struct wait_lengths lengths = {0};
        for (size_t i = 0; i < 2000; i++) {
            assert_int_equal(wait_lengths_add(&lengths, &arena, extremes_ns[e]), 0);
        }
        assert_int_equal(wait_lengths_median(&lengths), extremes_ns[e]);
        /* Sixteen kilobytes: doubling and one table of classes. */
        assert_true(arena.used_bytes < 20000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_lengths_have_an_exact_median),
        cmocka_unit_test(many_lengths_have_a_median_within_a_class),
        cmocka_unit_test(equal_lengths_are_told_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
