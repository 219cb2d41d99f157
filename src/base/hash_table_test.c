/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "base/hash_table.h"

static void an_empty_table_finds_nothing(void **state)
{
    (void)state;
    _cleanup_(hash_table_releasep) struct hash_table table;
    hash_table_init(&table);
    assert_int_equal(hash_table_find(&table, 0), HASH_TABLE_NONE);
    assert_int_equal(hash_table_find(&table, UINT64_MAX), HASH_TABLE_NONE);
    assert_int_equal(hash_table_memory_bytes(&table), 0);
    hash_table_clear(&table);
}

/* Patterns of keys as callers have them: dense ids, pages, ids in the upper half, pairs. */
static uint64_t key_of(int pattern, uint32_t i)
{
    switch (pattern) {
    case 0:
        return i;
    case 1:
        return UINT64_C(0x7f0000000000) + (uint64_t)i * 4096;
    case 2:
        return (uint64_t)i << 32;
    case 3:
        return ((uint64_t)(i / 300) << 32) | (i % 300);
    default:
        return UINT64_MAX - i;
    }
}

static void all_that_was_added_is_found(void **state)
{
    (void)state;
    for (int pattern = 0; pattern < 5; pattern++) {
        _cleanup_(hash_table_releasep) struct hash_table table;
        hash_table_init(&table);
        const uint32_t n_keys = 100000;
        for (uint32_t i = 0; i < n_keys; i++) {
            assert_int_equal(hash_table_add(&table, key_of(pattern, i), i), 0);
        }
        assert_int_equal(table.n_used, n_keys);
        for (uint32_t i = 0; i < n_keys; i++) {
            assert_int_equal(hash_table_find(&table, key_of(pattern, i)), i);
        }
        for (uint32_t i = n_keys; i < 2 * n_keys; i++) {
            assert_int_equal(hash_table_find(&table, key_of(pattern, i)), HASH_TABLE_NONE);
        }
        assert_true(table.n_used * 8 <= table.n_slots * 5);
        assert_true(hash_table_memory_bytes(&table) <= 64 * (size_t)n_keys);
    }
}

/* A lookup that walks far is slow: no pattern may make long clusters. */
static void clusters_stay_short(void **state)
{
    (void)state;
    for (int pattern = 0; pattern < 5; pattern++) {
        _cleanup_(hash_table_releasep) struct hash_table table;
        hash_table_init(&table);
        for (uint32_t i = 0; i < 80000; i++) {
            assert_int_equal(hash_table_add(&table, key_of(pattern, i), i), 0);
        }
        size_t longest = 0;
        size_t length = 0;
        for (size_t slot = 0; slot < table.n_slots; slot++) {
            length = table.slots[slot].value == HASH_TABLE_NONE ? 0 : length + 1;
            longest = length > longest ? length : longest;
        }
        assert_true(longest < 400);
    }
}

static void set_replaces_and_add_does_not(void **state)
{
    (void)state;
    _cleanup_(hash_table_releasep) struct hash_table table;
    hash_table_init(&table);
    assert_int_equal(hash_table_set(&table, 5, 1), 0);
    assert_int_equal(hash_table_set(&table, 5, 2), 0);
    assert_int_equal(table.n_used, 1);
    assert_int_equal(hash_table_find(&table, 5), 2);
    assert_int_equal(hash_table_add(&table, 5, 3), 0);
    assert_int_equal(table.n_used, 2);
    assert_int_equal(hash_table_find(&table, 5), 2);
}

static bool is_same_number(uint32_t value, const void *wanted, const void *userdata)
{
    const uint32_t *offset = userdata;
    return value + *offset == *(const uint32_t *)wanted;
}

static void candidates_of_one_hash_are_compared(void **state)
{
    (void)state;
    _cleanup_(hash_table_releasep) struct hash_table table;
    hash_table_init(&table);
    const uint32_t offset = 1000;
    uint32_t wanted = 1003;
    assert_int_equal(hash_table_find_equal(&table, 9, is_same_number, &wanted, &offset),
                     HASH_TABLE_NONE);
    for (uint32_t value = 0; value < 5; value++) {
        assert_int_equal(hash_table_add(&table, 9, value), 0);
    }
    assert_int_equal(hash_table_find_equal(&table, 9, is_same_number, &wanted, &offset), 3);
    assert_int_equal(hash_table_find_equal(&table, 8, is_same_number, &wanted, &offset),
                     HASH_TABLE_NONE);
    wanted = 1005;
    assert_int_equal(hash_table_find_equal(&table, 9, is_same_number, &wanted, &offset),
                     HASH_TABLE_NONE);
}

static void the_first_value_stays_the_first_while_growing(void **state)
{
    (void)state;
    _cleanup_(hash_table_releasep) struct hash_table table;
    hash_table_init(&table);
    for (uint32_t key = 0; key < 2000; key++) {
        assert_int_equal(hash_table_add(&table, key, key * 2), 0);
        assert_int_equal(hash_table_add(&table, key, key * 2 + 1), 0);
        for (uint32_t earlier = 0; earlier <= key; earlier += 13) {
            assert_int_equal(hash_table_find(&table, earlier), earlier * 2);
        }
    }
}

static void clear_keeps_the_memory(void **state)
{
    (void)state;
    _cleanup_(hash_table_releasep) struct hash_table table;
    hash_table_init(&table);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(hash_table_add(&table, i, i), 0);
    }
    size_t memory_bytes = hash_table_memory_bytes(&table);
    hash_table_clear(&table);
    assert_int_equal(table.n_used, 0);
    assert_int_equal(hash_table_memory_bytes(&table), memory_bytes);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(hash_table_find(&table, i), HASH_TABLE_NONE);
    }
    assert_int_equal(hash_table_add(&table, 3, 4), 0);
    assert_int_equal(hash_table_find(&table, 3), 4);
    assert_int_equal(hash_table_memory_bytes(&table), memory_bytes);
}

static void one_bit_changes_half_of_the_hash(void **state)
{
    (void)state;
    unsigned char data[24];
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (unsigned char)(i * 11);
    }
    unsigned int n_changed = 0;
    unsigned int n_changed_u64 = 0;
    uint64_t before = hash_bytes(data, sizeof(data));
    uint64_t before_u64 = hash_u64(1234567);
    for (unsigned int bit = 0; bit < 8 * sizeof(data); bit++) {
        data[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        n_changed += (unsigned int)__builtin_popcountll(before ^ hash_bytes(data, sizeof(data)));
        data[bit / 8] ^= (unsigned char)(1u << (bit % 8));
    }
    for (unsigned int bit = 0; bit < 64; bit++) {
        uint64_t hash = hash_u64(1234567 ^ (UINT64_C(1) << bit));
        n_changed_u64 += (unsigned int)__builtin_popcountll(before_u64 ^ hash);
    }
    assert_in_range(n_changed / (8 * sizeof(data)), 28, 36);
    assert_in_range(n_changed_u64 / 64, 28, 36);
    assert_true(hash_bytes(data, sizeof(data)) == before);
}

static void length_and_every_tail_count(void **state)
{
    (void)state;
    const unsigned char zeros[20] = {0};
    for (size_t n_bytes = 1; n_bytes <= sizeof(zeros); n_bytes++) {
        assert_true(hash_bytes(zeros, n_bytes) != hash_bytes(zeros, n_bytes - 1));
    }
    assert_true(hash_bytes("ab", 2) != hash_bytes("ba", 2));
    assert_true(hash_bytes("12345678A", 9) != hash_bytes("12345678B", 9));
}

static void reserved_room_is_enough(void **state)
{
    (void)state;
    _cleanup_(hash_table_releasep) struct hash_table table;
    hash_table_init(&table);
    assert_int_equal(hash_table_reserve(&table, 0), 0);
    assert_int_equal(hash_table_memory_bytes(&table), 0);
    assert_int_equal(hash_table_add(&table, 7, 1000000), 0);
    const size_t sizes[] = {10, 11, 1000, 1280, 1281};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        assert_int_equal(hash_table_reserve(&table, sizes[i]), 0);
        size_t n_bytes = hash_table_memory_bytes(&table);
        for (uint32_t n = (uint32_t)table.n_used; n < sizes[i]; n++) {
            assert_int_equal(hash_table_add(&table, UINT64_C(1000) + n, n), 0);
        }
        assert_int_equal(hash_table_memory_bytes(&table), n_bytes);
    }
    for (uint32_t n = 1; n < 1281; n++) {
        assert_int_equal(hash_table_find(&table, UINT64_C(1000) + n), n);
    }
    assert_int_equal(hash_table_find(&table, 7), 1000000);
    /* Less than there is changes nothing. */
    size_t n_bytes = hash_table_memory_bytes(&table);
    assert_int_equal(hash_table_reserve(&table, 5), 0);
    assert_int_equal(hash_table_memory_bytes(&table), n_bytes);
    assert_int_equal(hash_table_reserve(&table, SIZE_MAX), -ENOMEM);
    assert_int_equal(hash_table_find(&table, 7), 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_table_finds_nothing),
        cmocka_unit_test(all_that_was_added_is_found),
        cmocka_unit_test(clusters_stay_short),
        cmocka_unit_test(set_replaces_and_add_does_not),
        cmocka_unit_test(candidates_of_one_hash_are_compared),
        cmocka_unit_test(the_first_value_stays_the_first_while_growing),
        cmocka_unit_test(clear_keeps_the_memory),
        cmocka_unit_test(one_bit_changes_half_of_the_hash),
        cmocka_unit_test(length_and_every_tail_count),
        cmocka_unit_test(reserved_room_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
