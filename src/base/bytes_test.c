/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"

static void numbers_are_little_endian_and_unaligned(void **state)
{
    (void)state;
    const uint8_t data[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
                            0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f};
    struct bytes bytes = bytes_of(data, sizeof(data));
    assert_int_equal(bytes_take_u8(&bytes), 0x01);
    assert_int_equal(bytes_take_u16(&bytes), 0x0302);
    assert_int_equal(bytes_take_u32(&bytes), 0x07060504);
    assert_true(bytes_take_u64(&bytes) == UINT64_C(0x0f0e0d0c0b0a0908));
    assert_int_equal(bytes_left(&bytes), 0);
    assert_false(bytes_has_failed(&bytes));
}

static void the_first_failure_is_sticky(void **state)
{
    (void)state;
    const uint8_t data[] = {1, 2, 3};
    struct bytes bytes = bytes_of(data, sizeof(data));
    assert_int_equal(bytes_take_u32(&bytes), 0);
    assert_true(bytes_has_failed(&bytes));
    assert_int_equal(bytes_take_u8(&bytes), 0);
    assert_null(bytes_take(&bytes, 0));
    assert_null(bytes_take_string(&bytes));
    assert_int_equal(bytes_left(&bytes), 3);
}

static void absurd_lengths_fail(void **state)
{
    (void)state;
    const uint8_t data[8] = {0};
    struct bytes bytes = bytes_of(data, sizeof(data));
    bytes_skip(&bytes, 4);
    assert_null(bytes_take(&bytes, SIZE_MAX));
    assert_true(bytes_has_failed(&bytes));
}

static void copies_are_zeroed_where_bytes_are_missing(void **state)
{
    (void)state;
    const uint8_t data[2] = {7, 7};
    uint8_t target[4] = {9, 9, 9, 9};
    struct bytes bytes = bytes_of(data, sizeof(data));
    bytes_take_into(&bytes, target, sizeof(target));
    const uint8_t zeros[4] = {0};
    assert_memory_equal(target, zeros, sizeof(zeros));
}

static void strings_end_within_the_bytes(void **state)
{
    (void)state;
    const char data[] = {'a', 'b', '\0', '\0', 'c', 'd'};
    struct bytes bytes = bytes_of(data, sizeof(data));
    assert_string_equal(bytes_take_string(&bytes), "ab");
    assert_string_equal(bytes_take_string(&bytes), "");
    assert_null(bytes_take_string(&bytes));
    assert_true(bytes_has_failed(&bytes));
}

static void copies_of_a_reader_are_independent(void **state)
{
    (void)state;
    const uint8_t data[] = {1, 2};
    struct bytes bytes = bytes_of(data, sizeof(data));
    struct bytes ahead = bytes;
    bytes_skip(&ahead, 5);
    assert_true(bytes_has_failed(&ahead));
    assert_false(bytes_has_failed(&bytes));
    assert_int_equal(bytes_take_u8(&bytes), 1);
}

static void test_leb128(void **state)
{
    (void)state;
    static const uint8_t unsigned_numbers[] = {
        0x00, 0x7f, 0x80, 0x01, 0xe5, 0x8e, 0x26, 0x81, 0x80, 0x00,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
    };
    struct bytes bytes = bytes_of(unsigned_numbers, sizeof(unsigned_numbers));
    assert_int_equal(bytes_take_uleb128(&bytes), 0);
    assert_int_equal(bytes_take_uleb128(&bytes), 127);
    assert_int_equal(bytes_take_uleb128(&bytes), 128);
    assert_int_equal(bytes_take_uleb128(&bytes), 624485);
    assert_int_equal(bytes_take_uleb128(&bytes), 1); /* with more bytes than it needs */
    assert_true(bytes_take_uleb128(&bytes) == UINT64_MAX);
    assert_false(bytes_has_failed(&bytes));
    assert_int_equal(bytes_left(&bytes), 0);

    static const uint8_t signed_numbers[] = {
        0x02, 0x7e, 0xff, 0x00, 0x80, 0x7f, 0xc0, 0xbb, 0x78, 0x80,
        0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f,
    };
    bytes = bytes_of(signed_numbers, sizeof(signed_numbers));
    assert_int_equal(bytes_take_sleb128(&bytes), 2);
    assert_int_equal(bytes_take_sleb128(&bytes), -2);
    assert_int_equal(bytes_take_sleb128(&bytes), 127);
    assert_int_equal(bytes_take_sleb128(&bytes), -128);
    assert_int_equal(bytes_take_sleb128(&bytes), -123456);
    assert_true(bytes_take_sleb128(&bytes) == INT64_MIN);
    assert_false(bytes_has_failed(&bytes));
}

static void test_leb128_that_does_not_end_or_fit(void **state)
{
    (void)state;
    static const uint8_t endless[] = {0x80, 0x80, 0x80};
    struct bytes bytes = bytes_of(endless, sizeof(endless));
    assert_int_equal(bytes_take_uleb128(&bytes), 0);
    assert_true(bytes_has_failed(&bytes));
    bytes = bytes_of(endless, sizeof(endless));
    assert_int_equal(bytes_take_sleb128(&bytes), 0);
    assert_true(bytes_has_failed(&bytes));
    static const uint8_t wide[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02};
    bytes = bytes_of(wide, sizeof(wide));
    assert_int_equal(bytes_take_uleb128(&bytes), 0);
    assert_true(bytes_has_failed(&bytes));
    bytes = bytes_of(wide, sizeof(wide));
    assert_int_equal(bytes_take_sleb128(&bytes), 0);
    assert_true(bytes_has_failed(&bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_little_endian_and_unaligned),
        cmocka_unit_test(the_first_failure_is_sticky),
        cmocka_unit_test(absurd_lengths_fail),
        cmocka_unit_test(copies_are_zeroed_where_bytes_are_missing),
        cmocka_unit_test(strings_end_within_the_bytes),
        cmocka_unit_test(copies_of_a_reader_are_independent),
        cmocka_unit_test(test_leb128),
        cmocka_unit_test(test_leb128_that_does_not_end_or_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
