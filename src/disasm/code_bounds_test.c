/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "disasm/code_bounds.h"

#define HEADER_ADDR 0x4000

/* Three functions at 0x1000, 0x1040 and 0x1100. */
static const uint8_t header[] = {
    1,    0x1b, 0x03, 0x3b,             /* version and forms */
    0,    0,    0,    0,                /* where .eh_frame is */
    3,    0,    0,    0,                /* entries */
    0x00, 0xd0, 0xff, 0xff, 0, 0, 0, 0, /* 0x1000 - 0x4000 */
    0x40, 0xd0, 0xff, 0xff, 0, 0, 0, 0, /* 0x1040 - 0x4000 */
    0x00, 0xd1, 0xff, 0xff, 0, 0, 0, 0, /* 0x1100 - 0x4000 */
};

static bool find(const uint8_t *bytes, size_t n_bytes, uint64_t address, uint64_t *ret_start,
                 uint64_t *ret_end)
{
    return code_bounds_find(bytes_of(bytes, n_bytes), HEADER_ADDR, address, ret_start, ret_end);
}

static void test_the_function_around_an_address(void **state)
{
    (void)state;
    uint64_t start, end;
    assert_true(find(header, sizeof(header), 0x1040, &start, &end));
    assert_int_equal(start, 0x1040);
    assert_int_equal(end, 0x1100);
    assert_true(find(header, sizeof(header), 0x103f, &start, &end));
    assert_int_equal(start, 0x1000);
    assert_int_equal(end, 0x1040);
    assert_true(find(header, sizeof(header), 0x9000, &start, &end));
    assert_int_equal(start, 0x1100);
    assert_true(end == UINT64_MAX);
    assert_false(find(header, sizeof(header), 0xfff, &start, &end));
}

static void test_other_forms_and_cut_tables_are_refused_or_bounded(void **state)
{
    (void)state;
    uint64_t start, end;
    uint8_t bytes[sizeof(header)];
    for (size_t i = 0; i < 4; i++) {
        memcpy(bytes, header, sizeof(bytes));
        bytes[i] = 0xff;
        assert_false(find(bytes, sizeof(bytes), 0x1040, &start, &end));
    }
    for (size_t n_bytes = 0; n_bytes < 20; n_bytes++) {
        assert_false(find(header, n_bytes, 0x1040, &start, &end));
    }
    /* One entry is left. */
    assert_true(find(header, 20, 0x1040, &start, &end));
    assert_int_equal(start, 0x1000);
    memcpy(bytes, header, sizeof(bytes));
    memset(bytes + 8, 0xff, 4); /* more entries than there are */
    assert_true(find(bytes, sizeof(bytes), 0x1041, &start, &end));
    assert_int_equal(end, 0x1100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_function_around_an_address),
        cmocka_unit_test(test_other_forms_and_cut_tables_are_refused_or_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
