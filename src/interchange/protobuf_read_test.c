/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "interchange/protobuf_read.h"

static void test_fields(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {
        0x08, 0x96, 0x01,                         /* 1: 150 */
        0x12, 0x03, 'a',  'b',  'c',              /* 2: "abc" */
        0x1d, 0x01, 0x00, 0x00, 0x00,             /* 3: four bytes */
        0x22, 0x03, 0x01, 0xac, 0x02,             /* 4: 1 and 300, packed */
        0x20, 0x05,                               /* 4: 5 */
        0x29, 1,    0,    0,    0,    0, 0, 0, 0, /* 5: eight bytes */
    };
    struct bytes message = bytes_of(bytes, sizeof(bytes));
    struct protobuf_field field;
    uint64_t value;
    assert_true(protobuf_next(&message, &field));
    assert_int_equal(field.number, 1);
    assert_int_equal(field.value, 150);
    assert_true(protobuf_next(&message, &field));
    assert_int_equal(bytes_left(&field.bytes), 3);
    assert_memory_equal(field.bytes.at, "abc", 3);
    assert_true(protobuf_next(&message, &field));
    assert_int_equal(field.value, 1);
    assert_true(protobuf_next(&message, &field));
    assert_true(protobuf_next_number(&field, &value));
    assert_int_equal(value, 1);
    assert_true(protobuf_next_number(&field, &value));
    assert_int_equal(value, 300);
    assert_false(protobuf_next_number(&field, &value));
    assert_true(protobuf_next(&message, &field));
    assert_true(protobuf_next_number(&field, &value));
    assert_int_equal(value, 5);
    assert_false(protobuf_next_number(&field, &value));
    assert_true(protobuf_next(&message, &field));
    assert_int_equal(field.number, 5);
    assert_false(protobuf_next(&message, &field));
    assert_false(bytes_has_failed(&message));
}

static void refuse(const char *bytes, size_t n_bytes)
{
    struct bytes message = bytes_of(bytes, n_bytes);
    struct protobuf_field field;
    assert_false(protobuf_next(&message, &field));
    assert_true(bytes_has_failed(&message));
}

static void test_nonsense(void **state)
{
    (void)state;
    refuse("\x12\x05hey", 5);                  /* longer than what is left */
    refuse("\x03", 1);                         /* a group */
    refuse("\x00\x01", 2);                     /* field 0 */
    refuse("\x08\xff\xff", 3);                 /* a number without an end */
    refuse("\x1d\x01", 2);                     /* half of four bytes */
    refuse("\xff\xff\xff\xff\xff\xff\x01", 7); /* no such field */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
