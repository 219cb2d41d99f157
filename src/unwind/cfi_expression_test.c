/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unwind/cfi_expression.h"

#define READ(...)                                                                                  \
    cfi_expression_read(                                                                           \
        bytes_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})))

static void test_register_and_offset(void **state)
{
    (void)state;
    struct cfi_expression expression = READ(0x76, 0x70); /* rbp - 16 */
    assert_int_equal(expression.kind, CFI_EXPRESSION_REGISTER);
    assert_int_equal(expression.register_number, 6);
    assert_int_equal(expression.offset_bytes, -16);
    expression = READ(0x8f, 0x80, 0x02); /* aarch64: sp + 256 */
    assert_int_equal(expression.kind, CFI_EXPRESSION_REGISTER);
    assert_int_equal(expression.register_number, 31);
    assert_int_equal(expression.offset_bytes, 256);
}

static void test_dereference(void **state)
{
    (void)state;
    struct cfi_expression expression = READ(0x76, 0x78, 0x06); /* *(rbp - 8) */
    assert_int_equal(expression.kind, CFI_EXPRESSION_DEREF);
    assert_int_equal(expression.register_number, 6);
    assert_int_equal(expression.offset_bytes, -8);
    assert_int_equal(expression.added_bytes, 0);
    expression = READ(0x77, 0x28, 0x06, 0x23, 0x08); /* *(rsp + 40) + 8 */
    assert_int_equal(expression.kind, CFI_EXPRESSION_DEREF);
    assert_int_equal(expression.register_number, 7);
    assert_int_equal(expression.offset_bytes, 40);
    assert_int_equal(expression.added_bytes, 8);
}

static void test_plt(void **state)
{
    (void)state;
    for (uint8_t threshold = 5; threshold < 16; threshold++) {
        struct cfi_expression expression =
            READ(0x77, 0x08, 0x80, 0x00, 0x3f, 0x1a, (uint8_t)(0x30 + threshold), 0x2a, 0x33, 0x24,
                 0x22);
        assert_int_equal(expression.kind, CFI_EXPRESSION_PLT);
        assert_int_equal(expression.register_number, 7);
        assert_int_equal(expression.offset_bytes, threshold);
    }
}

static void test_what_is_something_else(void **state)
{
    (void)state;
    assert_int_equal(cfi_expression_read(bytes_of("", 0)).kind, CFI_EXPRESSION_OTHER);
    assert_int_equal(READ(0x77).kind, CFI_EXPRESSION_OTHER);
    assert_int_equal(READ(0x77, 0x80).kind, CFI_EXPRESSION_OTHER);
    assert_int_equal(READ(0x06).kind, CFI_EXPRESSION_OTHER);
    assert_int_equal(READ(0x92, 0x07, 0x08).kind, CFI_EXPRESSION_OTHER);
    assert_int_equal(READ(0x76, 0x78, 0x06, 0x06).kind, CFI_EXPRESSION_OTHER);
    assert_int_equal(READ(0x76, 0x78, 0x06, 0x23).kind, CFI_EXPRESSION_OTHER);
    assert_int_equal(READ(0x76, 0x78, 0x06, 0x23, 0x08, 0x96).kind, CFI_EXPRESSION_OTHER);
    /* The PLT's, with one operation other, cut off, or followed by one more. */
    assert_int_equal(READ(0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x1c).kind,
                     CFI_EXPRESSION_OTHER);
    assert_int_equal(READ(0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24).kind,
                     CFI_EXPRESSION_OTHER);
    assert_int_equal(READ(0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22, 0x96).kind,
                     CFI_EXPRESSION_OTHER);
    assert_int_equal(READ(0x77, 16, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22).kind,
                     CFI_EXPRESSION_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_register_and_offset),
        cmocka_unit_test(test_dereference),
        cmocka_unit_test(test_plt),
        cmocka_unit_test(test_what_is_something_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
