/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "inject/kept_text.h"

static void the_same_text_has_one_address(void **state)
{
    (void)state;
    char text[] = "frame";
    const char *kept = kept_text(text);
    assert_string_equal(kept, "frame");
    assert_ptr_equal(kept_text("frame"), kept);
    text[0] = 'g';
    assert_string_equal(kept, "frame");
    assert_ptr_not_equal(kept_text(text), kept);
}

static void long_texts_are_cut(void **state)
{
    (void)state;
    char text[1000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(strlen(kept_text(text)), KEPT_TEXT_BYTES - 1);
}

static void too_many_texts_are_refused_and_the_known_ones_stay(void **state)
{
    (void)state;
    const char *first = kept_text("first");
    char text[32];
    size_t n_refused = 0;
    for (int i = 0; i < 70000; i++) {
        snprintf(text, sizeof(text), "text %d", i);
        n_refused += !kept_text(text);
    }
    assert_in_range(n_refused, 70000 - 65536, 70000 - 65536 + 8);
    assert_ptr_equal(kept_text("first"), first);
    assert_non_null(kept_text("text 7"));
    assert_null(kept_text("text 69999"));
}

static void wide_texts_become_utf8(void **state)
{
    (void)state;
    char text[KEPT_TEXT_BYTES];
    kept_text_narrow(L"a\u00e4\u20ac\U0001f680", text);
    assert_string_equal(text, "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x9a\x80");
    kept_text_narrow(L"", text);
    assert_string_equal(text, "");
    const wchar_t wrong[] = {0xd800, 'b', 0x110000, (wchar_t)0xffffffff, 0};
    kept_text_narrow(wrong, text);
    assert_string_equal(text, "?b??");
}

static void wide_texts_are_cut_at_a_character(void **state)
{
    (void)state;
    wchar_t wide[200];
    char text[KEPT_TEXT_BYTES];
    wmemset(wide, 0x20ac, 199);
    wide[199] = 0;
    kept_text_narrow(wide, text);
    assert_int_equal(strlen(text), 255);
    wide[0] = 'a';
    kept_text_narrow(wide, text);
    assert_int_equal(strlen(text), 253);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_text_has_one_address),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(wide_texts_become_utf8),
        cmocka_unit_test(wide_texts_are_cut_at_a_character),
        cmocka_unit_test(too_many_texts_are_refused_and_the_known_ones_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
