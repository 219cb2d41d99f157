/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/label.h"

static void assert_label(const char *name, const char *expected)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 1000);
    label_append(&text, name);
    assert_string_equal(text.data, expected);
}

static void assert_shortened(const char *name, size_t width, const char *expected)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 1000);
    label_append_shortened(&text, name, width);
    assert_string_equal(text.data, expected);
}

static void ordinary_names_stay(void **state)
{
    (void)state;
    assert_label("std::vector<int>::push_back(int&&)", "std::vector<int>::push_back(int&&)");
    assert_label("größe_名前_🦀", "größe_名前_🦀");
    assert_label("a\\b", "a\\b");
    assert_label("", "");
    assert_label(NULL, "?");
}

static void control_characters_are_shown(void **state)
{
    (void)state;
    assert_label("\033]0;owned\007", "\\x1b]0;owned\\x07");
    assert_label("a\nb\tc\rd", "a\\x0ab\\x09c\\x0dd");
    assert_label("\x7f", "\\x7f");
    assert_label("\xc2\x9b"
                 "31m",
                 "\\xc2\\x9b31m");
}

static void text_cannot_be_reordered(void **state)
{
    (void)state;
    assert_label("a\u202eb", "a\\u202eb");
    assert_label("a\u2066b\u200b", "a\\u2066b\\u200b");
    assert_label("\u2028", "\\u2028");
}

static void broken_utf8_is_shown_byte_by_byte(void **state)
{
    (void)state;
    assert_label("\xff", "\\xff");
    assert_label("\xc3", "\\xc3");
    assert_label("\xe2\x82", "\\xe2\\x82");
    assert_label("\xc0\x80", "\\xc0\\x80");
    assert_label("\xed\xa0\x80", "\\xed\\xa0\\x80");
    assert_label("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
    assert_label("a\x80z", "a\\x80z");
}

static void the_middle_gives_way(void **state)
{
    (void)state;
    assert_shortened("abcdefghij", 10, "abcdefghij");
    assert_shortened("abcdefghij", 9, "abcd…ghij");
    assert_shortened("abcdefghij", 6, "ab…hij");
    assert_shortened("abcdefghij", 1, "…");
    assert_shortened("abcdefghij", 0, "");
    assert_shortened("äöüäöüäöü", 5, "äö…öü");
    assert_shortened("\033\033\033", 7, "\\x1…x1b");
}

static void width_counts_characters(void **state)
{
    (void)state;
    assert_int_equal(label_width(""), 0);
    assert_int_equal(label_width("abc"), 3);
    assert_int_equal(label_width("äöü…"), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_names_stay),
        cmocka_unit_test(control_characters_are_shown),
        cmocka_unit_test(text_cannot_be_reordered),
        cmocka_unit_test(broken_utf8_is_shown_byte_by_byte),
        cmocka_unit_test(the_middle_gives_way),
        cmocka_unit_test(width_counts_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
