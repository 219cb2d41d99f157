/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dwarf/dwarf_abbrevs.h"
#include "dwarf/dwarf_abi.h"

static void test_a_table(void **state)
{
    (void)state;
    static const uint8_t table[] = {
        1,
        DW_TAG_compile_unit,
        1,
        DW_AT_name,
        DW_FORM_strp,
        DW_AT_low_pc,
        DW_FORM_addr,
        DW_AT_language,
        DW_FORM_data2,
        0,
        0,
        2,
        DW_TAG_subprogram,
        0,
        DW_AT_name,
        DW_FORM_string,
        0,
        0,
        0,
        3,
        DW_TAG_subprogram,
        0,
        0,
        0,
    };
    struct dwarf_abbrevs abbrevs;
    assert_int_equal(dwarf_abbrevs_read(bytes_of(table, sizeof(table)), 0, &abbrevs), 0);
    assert_int_equal(abbrevs.n_abbrevs, 2); /* what stands behind the end is another table */
    const struct dwarf_abbrev *unit = dwarf_abbrevs_find(&abbrevs, 1);
    assert_int_equal(unit->tag, DW_TAG_compile_unit);
    assert_true(unit->has_children);
    assert_true(unit->has_fixed_size);
    assert_int_equal(unit->n_addresses, 1);
    assert_int_equal(unit->n_offsets, 1);
    assert_int_equal(unit->n_plain_bytes, 2);
    assert_false(dwarf_abbrevs_find(&abbrevs, 2)->has_fixed_size);
    assert_null(dwarf_abbrevs_find(&abbrevs, 3));
    assert_null(dwarf_abbrevs_find(&abbrevs, 0));
    dwarf_abbrevs_release(&abbrevs);

    assert_int_equal(dwarf_abbrevs_read(bytes_of(table, sizeof(table)), 1, &abbrevs), 0);
    assert_int_equal(abbrevs.n_abbrevs, 1); /* no further than was asked for */
    dwarf_abbrevs_release(&abbrevs);
}

static void test_codes_in_any_order(void **state)
{
    (void)state;
    static const uint8_t table[] = {
        0x90,
        0x4e,
        DW_TAG_namespace,
        1,
        0,
        0, /* 10000 */
        7,
        DW_TAG_subprogram,
        0,
        DW_AT_decl_line,
        DW_FORM_implicit_const,
        0x7f,
        0,
        0,
        0,
    };
    struct dwarf_abbrevs abbrevs;
    assert_int_equal(dwarf_abbrevs_read(bytes_of(table, sizeof(table)), 0, &abbrevs), 0);
    assert_int_equal(dwarf_abbrevs_find(&abbrevs, 10000)->tag, DW_TAG_namespace);
    const struct dwarf_abbrev *seven = dwarf_abbrevs_find(&abbrevs, 7);
    assert_int_equal(seven->tag, DW_TAG_subprogram);
    assert_int_equal(abbrevs.attributes[seven->first_attribute].constant, -1);
    assert_null(dwarf_abbrevs_find(&abbrevs, 8));
    dwarf_abbrevs_release(&abbrevs);
}

static void test_a_table_that_breaks_off(void **state)
{
    (void)state;
    static const uint8_t table[] = {1, DW_TAG_compile_unit, 1, DW_AT_name, DW_FORM_strp};
    struct dwarf_abbrevs abbrevs;
    for (size_t n_bytes = 1; n_bytes <= sizeof(table); n_bytes++) {
        assert_int_equal(dwarf_abbrevs_read(bytes_of(table, n_bytes), 0, &abbrevs), -EBADMSG);
    }
    assert_int_equal(dwarf_abbrevs_read(bytes_of(table, 0), 0, &abbrevs), 0);
    dwarf_abbrevs_release(&abbrevs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_table),
        cmocka_unit_test(test_codes_in_any_order),
        cmocka_unit_test(test_a_table_that_breaks_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
