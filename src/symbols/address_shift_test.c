/* SPDX-License-Identifier: MIT */
#include "symbols/built_program_test.h"

#include "symbols/address_shift.h"

static void test_ranges_translate_both_ways(void **state)
{
    (void)state;
    const struct address_shift shift = {
        .n_ranges = 2,
        .ranges = {{.image_addr = 0x1000, .debug_addr = 0x501000, .n_bytes = 0x100},
                   {.image_addr = 0x4000, .debug_addr = 0x3000, .n_bytes = 0x10}},
    };
    assert_int_equal(address_shift_to_debug(&shift, 0x1000), 0x501000);
    assert_int_equal(address_shift_to_debug(&shift, 0x10ff), 0x5010ff);
    assert_int_equal(address_shift_to_debug(&shift, 0x1100), 0x1100);
    assert_int_equal(address_shift_to_debug(&shift, 0xfff), 0xfff);
    assert_int_equal(address_shift_to_image(&shift, 0x300f), 0x400f);
    assert_int_equal(address_shift_to_image(&shift, 0x3010), 0x3010);
    assert_int_equal(address_shift_to_image(&shift, UINT64_MAX), UINT64_MAX);
    const struct address_shift none = {.n_ranges = 0};
    assert_int_equal(address_shift_to_debug(&none, 77), 77);
    assert_int_equal(address_shift_to_image(&none, 77), 77);
}

static struct address_shift compare(const struct built *built, const char *image, const char *debug)
{
    struct opened one = built_open(built, image);
    struct opened other = built_open(built, debug);
    struct address_shift shift;
    address_shift_compare(one.elf, other.elf, &shift);
    opened_release(&one);
    opened_release(&other);
    return shift;
}

static void test_same_addresses_need_no_ranges(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built)) {
        print_message("no gcc or objcopy\n");
        skip();
    }
    assert_int_equal(built_run(built, "objcopy --only-keep-debug prog prog.debug"), 0);
    assert_int_equal(built_run(built, "strip -o stripped prog"), 0);
    assert_int_equal(compare(built, "stripped", "prog.debug").n_ranges, 0);
}

static void test_moved_sections(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built)) {
        print_message("no gcc or objcopy\n");
        skip();
    }
    assert_int_equal(built_run(built, "objcopy --only-keep-debug prog prog.debug && objcopy "
                                      "--change-addresses=0x200000 prog.debug moved.debug"),
                     0);
    struct address_shift shift = compare(built, "prog", "moved.debug");
    assert_true(shift.n_ranges > 0);
    struct opened program = built_open(built, "prog");
    struct elf_section text;
    assert_true(elf_file_section_named(program.elf, ".text", &text));
    assert_int_equal(address_shift_to_debug(&shift, text.image_addr + 5),
                     text.image_addr + 0x200005);
    assert_int_equal(address_shift_to_image(&shift, text.image_addr + 0x200005),
                     text.image_addr + 5);
    opened_release(&program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges_translate_both_ways),
        cmocka_unit_test_setup_teardown(test_same_addresses_need_no_ranges, built_new, built_free),
        cmocka_unit_test_setup_teardown(test_moved_sections, built_new, built_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
