/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dwarf/dwarf_abi.h"
#include "dwarf/dwarf_die.h"

static const struct dwarf_encoding of_dwarf_5 = {
    .version = 5, .address_bytes = 8, .offset_bytes = 4};
static const struct dwarf_encoding of_dwarf_2 = {
    .version = 2, .address_bytes = 8, .offset_bytes = 4};

/* Reads `form`, checks that stepping over it goes as far, and returns the value. */
static struct dwarf_value take(const struct dwarf_encoding *encoding, uint16_t form,
                               const uint8_t *data, size_t n_bytes)
{
    struct bytes taken = bytes_of(data, n_bytes);
    struct bytes skipped = taken;
    struct dwarf_attribute attribute = {.form = form};
    struct dwarf_value value = dwarf_value_take(&taken, encoding, &attribute, 100);
    dwarf_value_skip(&skipped, encoding, form);
    assert_false(bytes_has_failed(&taken));
    assert_false(bytes_has_failed(&skipped));
    assert_ptr_equal(taken.at, skipped.at);
    assert_int_equal(bytes_left(&taken), 0);
    return value;
}

#define TAKE(encoding, form, ...)                                                                  \
    take((encoding), (form), (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void test_forms(void **state)
{
    (void)state;
    struct dwarf_value value = TAKE(&of_dwarf_5, DW_FORM_data2, 0x34, 0x12);
    assert_int_equal(value.kind, DWARF_VALUE_CONSTANT);
    assert_int_equal(value.number, 0x1234);
    value = TAKE(&of_dwarf_5, DW_FORM_udata, 0x80, 0x80, 0x00); /* padded */
    assert_int_equal(value.number, 0);
    value = TAKE(&of_dwarf_5, DW_FORM_addr, 1, 2, 3, 4, 5, 6, 7, 8);
    assert_int_equal(value.kind, DWARF_VALUE_ADDRESS);
    assert_int_equal(value.number, 0x0807060504030201);
    value = TAKE(&of_dwarf_5, DW_FORM_string, 'a', 'b', 0);
    assert_int_equal(value.kind, DWARF_VALUE_STRING_HERE);
    assert_int_equal(value.number, 100);
    value = TAKE(&of_dwarf_5, DW_FORM_strx3, 1, 0, 2);
    assert_int_equal(value.kind, DWARF_VALUE_STRING_INDEX);
    assert_int_equal(value.number, 0x20001);
    value = TAKE(&of_dwarf_5, DW_FORM_rnglistx, 5);
    assert_int_equal(value.kind, DWARF_VALUE_RANGES_INDEX);
    value = TAKE(&of_dwarf_5, DW_FORM_exprloc, 2, 9, 9);
    assert_int_equal(value.kind, DWARF_VALUE_OTHER);
    value = TAKE(&of_dwarf_5, DW_FORM_indirect, DW_FORM_data1, 7);
    assert_int_equal(value.number, 7);
    value = TAKE(&of_dwarf_5, DW_FORM_GNU_ref_alt, 1, 0, 0, 0);
    assert_int_equal(value.kind, DWARF_VALUE_REF_ALT);
    /* The size of an address in DWARF 2, that of an offset later. */
    value = TAKE(&of_dwarf_2, DW_FORM_ref_addr, 1, 0, 0, 0, 0, 0, 0, 0);
    assert_int_equal(value.kind, DWARF_VALUE_REF_FILE);
    value = TAKE(&of_dwarf_5, DW_FORM_ref_addr, 1, 0, 0, 0);
    assert_int_equal(value.number, 1);
}

/* INT64_MIN needs ten bytes, the last of which is all sign. */
static void test_stepping_over_the_longest_number(void **state)
{
    (void)state;
    static const uint8_t data[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f};
    struct bytes bytes = bytes_of(data, sizeof(data));
    dwarf_value_skip(&bytes, &of_dwarf_5, DW_FORM_sdata);
    assert_false(bytes_has_failed(&bytes));
    assert_int_equal(bytes_left(&bytes), 0);
}

static void test_forms_nobody_knows(void **state)
{
    (void)state;
    static const uint8_t data[64] = {0};
    struct bytes bytes = bytes_of(data, sizeof(data));
    dwarf_value_skip(&bytes, &of_dwarf_5, 0x7777);
    assert_true(bytes_has_failed(&bytes));
}

static void test_an_entry(void **state)
{
    (void)state;
    static const uint8_t table[] = {
        1,
        DW_TAG_inlined_subroutine,
        1,
        DW_AT_abstract_origin,
        DW_FORM_ref4,
        0x49 /* type */,
        DW_FORM_ref4,
        DW_AT_call_line,
        DW_FORM_data1,
        DW_AT_name,
        DW_FORM_string,
        0,
        0,
        0,
    };
    static const uint8_t data[] = {1, 0x11, 0, 0, 0, 9, 9, 9, 9, 42, 'x', 0, 0};
    struct dwarf_abbrevs abbrevs;
    assert_int_equal(dwarf_abbrevs_read(bytes_of(table, sizeof(table)), 0, &abbrevs), 0);
    struct dwarf_source source = {
        .abbrevs = &abbrevs, .encoding = of_dwarf_5, .base = data, .base_offset = 1000};
    struct bytes bytes = bytes_of(data, sizeof(data));
    const struct dwarf_abbrev *abbrev = dwarf_die_begin(&bytes, &source);
    assert_non_null(abbrev);
    struct bytes skipped = bytes;
    dwarf_die_skip(&skipped, &source, abbrev);
    struct dwarf_die die;
    dwarf_die_attributes(&bytes, &source, abbrev, &die);
    assert_ptr_equal(bytes.at, skipped.at);
    assert_int_equal(die.origin.kind, DWARF_VALUE_REF_UNIT);
    assert_int_equal(die.origin.number, 0x11);
    assert_int_equal(die.call_line.number, 42);
    assert_int_equal(die.name.kind, DWARF_VALUE_STRING_HERE);
    assert_int_equal(die.name.number, 1010);
    assert_int_equal(die.call_file.kind, DWARF_VALUE_NONE);
    assert_null(dwarf_die_begin(&bytes, &source)); /* the end of its list */
    assert_false(bytes_has_failed(&bytes));
    dwarf_abbrevs_release(&abbrevs);
}

/* Where the next entry stands, wherever in the entry that is said. */
static void test_siblings(void **state)
{
    (void)state;
    static const uint8_t table[] = {
        1,
        DW_TAG_structure_type,
        1, /* behind a fixed number of bytes */
        DW_AT_decl_line,
        DW_FORM_data1,
        DW_AT_name,
        DW_FORM_strp,
        DW_AT_low_pc,
        DW_FORM_addr,
        DW_AT_sibling,
        DW_FORM_ref4,
        0,
        0,
        2,
        DW_TAG_structure_type,
        1, /* behind a string */
        DW_AT_name,
        DW_FORM_string,
        DW_AT_sibling,
        DW_FORM_ref4,
        0,
        0,
        3,
        DW_TAG_structure_type,
        1, /* nowhere */
        DW_AT_name,
        DW_FORM_string,
        0,
        0,
        0,
    };
    static const uint8_t data[] = {
        1, 7,   1,   2, 3,    4, 1, 2, 3, 4, 5, 6, 7, 8, 0x21, 0x43, 0, 0, /* */
        2, 'a', 'b', 0, 0x65, 0, 0, 0,                                     /* */
        3, 'c', 0,                                                         /* */
        1, 7,   1,   2, 3,                                                 /* breaks off */
    };
    static const uint64_t expected[] = {0x4321, 0x65, 0, 0};
    struct dwarf_abbrevs abbrevs;
    assert_int_equal(dwarf_abbrevs_read(bytes_of(table, sizeof(table)), 0, &abbrevs), 0);
    struct dwarf_source source = {.abbrevs = &abbrevs, .encoding = of_dwarf_5, .base = data};
    struct bytes bytes = bytes_of(data, sizeof(data));
    for (size_t i = 0; i < 4; i++) {
        const struct dwarf_abbrev *abbrev = dwarf_die_begin(&bytes, &source);
        const uint8_t *before = bytes.at;
        struct dwarf_value sibling = dwarf_die_sibling(&bytes, &source, abbrev);
        assert_int_equal(sibling.kind, expected[i] ? DWARF_VALUE_REF_UNIT : DWARF_VALUE_NONE);
        assert_true(expected[i] == 0 || sibling.number == expected[i]);
        assert_ptr_equal(bytes.at, before);
        assert_false(bytes_has_failed(&bytes));
        dwarf_die_skip(&bytes, &source, abbrev);
    }
    assert_true(bytes_has_failed(&bytes));
    dwarf_abbrevs_release(&abbrevs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_stepping_over_the_longest_number),
        cmocka_unit_test(test_forms_nobody_knows),
        cmocka_unit_test(test_an_entry),
        cmocka_unit_test(test_siblings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
