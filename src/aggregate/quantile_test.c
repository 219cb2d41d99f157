/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "aggregate/quantile.h"

#define N_VALUES 20000u

static uint64_t random_below(uint64_t *chance, uint64_t bound)
{
    *chance = *chance * 6364136223846793005u + 1442695040888963407u;
    return (*chance >> 20) % bound;
}

/* Even, by powers of two, two humps far apart, all alike, anything that 64 bits can hold. */
static uint64_t random_value(unsigned int kind, uint64_t *chance)
{
    switch (kind) {
    case 0:
        return random_below(chance, 1000000);
    case 1:
        return random_below(chance, UINT64_C(1) << random_below(chance, 40));
    case 2:
        return random_below(chance, 10) == 0 ? 5000000 + random_below(chance, 1000)
                                             : 200 + random_below(chance, 50);
    case 3:
        return 123456789;
    default:
        return random_below(chance, UINT64_C(1) << 43) << random_below(chance, 21);
    }
}

static int compare_values(const void *left, const void *right)
{
    uint64_t one = *(const uint64_t *)left, other = *(const uint64_t *)right;
    return (one > other) - (one < other);
}

static void check(const struct quantile *quantile, uint64_t *values, size_t n_values)
{
    qsort(values, n_values, sizeof(*values), compare_values);
    for (unsigned int permille = 0; permille <= 1000; permille++) {
        size_t rank = (n_values * permille + 999) / 1000;
        uint64_t exact = values[rank > 0 ? rank - 1 : 0];
        uint64_t told = quantile_at(quantile, permille / 1000.0, values[0], values[n_values - 1]);
        if (n_values <= QUANTILE_FEW) {
            assert_int_equal(told, exact);
        }
        assert_in_range(told, exact - exact / 200, exact + exact / 200);
    }
}

static void quantiles_are_within_half_a_percent(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 3, 7, 31, 32, 33, 40, 100, 1000, N_VALUES};
    uint64_t *values = calloc(N_VALUES, sizeof(*values)), chance = 9;
    assert_non_null(values);
    for (unsigned int kind = 0; kind < 5; kind++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            struct quantile *quantile = quantile_new();
            assert_non_null(quantile);
            for (size_t k = 0; k < sizes[i]; k++) {
                values[k] = random_value(kind, &chance);
                assert_int_equal(quantile_add(quantile, values[k], 1), 0);
            }
            assert_int_equal(quantile->n_values, sizes[i]);
            check(quantile, values, sizes[i]);
            quantile_unhold(quantile);
        }
    }
    free(values);
}

static void the_ends_are_exact(void **state)
{
    (void)state;
    struct quantile *quantile = quantile_new();
    assert_int_equal(quantile_at(quantile, 0.5, 0, 0), 0);
    assert_int_equal(quantile_add(quantile, 1000001, 500), 0);
    assert_int_equal(quantile_add(quantile, UINT64_MAX, 1), 0);
    assert_int_equal(quantile_add(quantile, 0, 1), 0);
    assert_int_equal(quantile_at(quantile, 0.0, 0, UINT64_MAX), 0);
    assert_int_equal(quantile_at(quantile, 1.0, 0, UINT64_MAX), UINT64_MAX);
    assert_in_range(quantile_at(quantile, 0.5, 0, UINT64_MAX), 995001, 1005001);
    /* All of them are alike: the bounds say which. */
    assert_int_equal(quantile_at(quantile, 0.5, 1000001, 1000001), 1000001);
    quantile_unhold(quantile);
}

/* What is walked and added again tells the same, and so does what was merged of parts. */
static void assert_same(const struct quantile *one, const struct quantile *other)
{
    uint64_t value, count, other_value, other_count, from = 0;
    assert_int_equal(one->n_values, other->n_values);
    while (quantile_next(one, from, &value, &count)) {
        assert_true(quantile_next(other, from, &other_value, &other_count));
        assert_int_equal(value, other_value);
        assert_int_equal(count, other_count);
        assert_true(value >= from);
        from = value + 1;
    }
    assert_false(quantile_next(other, from, &other_value, &other_count));
    for (unsigned int percent = 0; percent <= 100; percent++) {
        assert_int_equal(quantile_at(one, percent / 100.0, 0, UINT64_MAX),
                         quantile_at(other, percent / 100.0, 0, UINT64_MAX));
    }
}

static void what_is_walked_makes_an_equal_one(void **state)
{
    (void)state;
    for (unsigned int kind = 0; kind < 5; kind++) {
        for (size_t n_values = 0; n_values < 2000; n_values = n_values * 3 / 2 + 1) {
            struct quantile *quantile = quantile_new(), *again = quantile_new();
            uint64_t chance = 5, value, count;
            for (size_t i = 0; i < n_values; i++) {
                quantile_add(quantile, random_value(kind, &chance), 1);
            }
            for (uint64_t from = 0; quantile_next(quantile, from, &value, &count);
                 from = value + 1) {
                assert_int_equal(quantile_add(again, value, count), 0);
            }
            assert_same(quantile, again);
            quantile_unhold(quantile);
            quantile_unhold(again);
        }
    }
}

static void parts_make_the_whole(void **state)
{
    (void)state;
    for (size_t n_values = 1; n_values < 3000; n_values *= 3) {
        struct quantile *whole = quantile_new(), *one = quantile_new(), *other = quantile_new();
        uint64_t chance = 6;
        for (size_t i = 0; i < n_values; i++) {
            uint64_t value = random_value(1, &chance);
            quantile_add(whole, value, 1);
            quantile_add(i % 3 == 0 ? one : other, value, 1);
        }
        assert_int_equal(quantile_merge(one, other), 0);
        uint64_t value, count, n_counted = 0;
        for (uint64_t from = 0; quantile_next(one, from, &value, &count); from = value + 1) {
            n_counted += count;
        }
        assert_int_equal(n_counted, n_values);
        assert_same(whole, one);
        quantile_unhold(whole);
        quantile_unhold(one);
        quantile_unhold(other);
    }
}

static void what_others_hold_stays_as_it_is(void **state)
{
    (void)state;
    for (size_t n_values = 1; n_values < 200; n_values *= 2) {
        struct quantile *quantile = quantile_new();
        for (size_t i = 0; i < n_values; i++) {
            quantile_add(quantile, i * i, 1);
        }
        struct quantile *held = quantile_hold(quantile);
        assert_int_equal(quantile_own(&quantile), 0);
        assert_ptr_not_equal(quantile, held);
        assert_same(quantile, held);
        quantile_add(quantile, 1, 7);
        assert_int_equal(held->n_values, n_values);
        assert_int_equal(quantile->n_values, n_values + 7);
        assert_null(quantile_unhold(held));
        struct quantile *own = quantile;
        assert_int_equal(quantile_own(&quantile), 0);
        assert_ptr_equal(quantile, own);
        quantile_unhold(quantile);
    }
}

static void memory_follows_what_is_counted(void **state)
{
    (void)state;
    struct quantile *quantile = quantile_new();
    assert_false(quantile_has_room(quantile, 5));
    quantile_add(quantile, 5, 1);
    assert_true(quantile_has_room(quantile, 5));
    assert_true(quantile_memory_bytes(quantile) < 200);
    for (size_t i = 0; i < 1000; i++) {
        quantile_add(quantile, 1000000 + i, 1);
    }
    assert_true(quantile_memory_bytes(quantile) < 2000);
    assert_true(quantile_has_room(quantile, 1000000));
    assert_false(quantile_has_room(quantile, UINT64_C(1) << 40));
    for (uint32_t shift = 0; shift < 64; shift++) {
        for (uint64_t part = 0; part < 128; part++) {
            quantile_add(quantile, (UINT64_C(1) << shift) + (part << shift) / 128, 1);
        }
    }
    assert_in_range(quantile_memory_bytes(quantile), 50000, 61000);
    quantile_unhold(quantile);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_within_half_a_percent),
        cmocka_unit_test(the_ends_are_exact),
        cmocka_unit_test(what_is_walked_makes_an_equal_one),
        cmocka_unit_test(parts_make_the_whole),
        cmocka_unit_test(what_others_hold_stays_as_it_is),
        cmocka_unit_test(memory_follows_what_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
