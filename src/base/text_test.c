/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"

static void a_new_text_is_the_empty_string(void **state)
{
    (void)state;
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100);
    assert_string_equal(text.data, "");
    assert_int_equal(text.length_bytes, 0);
    text_clear(&text);
    text_append(&text, "");
    assert_string_equal(text.data, "");
    assert_false(text.is_cut);
}

static void appends_follow_each_other(void **state)
{
    (void)state;
    _cleanup_(text_releasep) struct text text;
    text_init(&text, SIZE_MAX);
    text_append(&text, "top");
    text_append_char(&text, ' ');
    text_append_bytes(&text, "-n!", 2);
    text_printf(&text, " %d of %s", 20, "many");
    assert_string_equal(text.data, "top -n 20 of many");
    assert_int_equal(text.length_bytes, strlen("top -n 20 of many"));
    assert_false(text.is_cut);
}

static void zero_bytes_are_kept(void **state)
{
    (void)state;
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 10);
    text_append_bytes(&text, "a\0b", 3);
    assert_int_equal(text.length_bytes, 3);
    assert_memory_equal(text.data, "a\0b", 4);
}

static void it_grows_as_far_as_needed(void **state)
{
    (void)state;
    _cleanup_(text_releasep) struct text text;
    text_init(&text, (size_t)1 << 20);
    for (int i = 0; i < 20000; i++) {
        text_printf(&text, "%04d,", i % 10000);
    }
    assert_int_equal(text.length_bytes, 100000);
    assert_memory_equal(text.data + 5 * 1234, "1234,", 5);
    text_printf(&text, "%5000d", 1);
    assert_int_equal(text.length_bytes, 105000);
    assert_int_equal(text.data[104999], '1');
    assert_int_equal(text.data[105000], '\0');
}

static void the_maximum_cuts_without_holes(void **state)
{
    (void)state;
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 8);
    text_append(&text, "12345678");
    assert_false(text.is_cut);
    text_clear(&text);
    text_append(&text, "1234567");
    text_append(&text, "too long");
    assert_true(text.is_cut);
    text_append_char(&text, 'x'); /* would fit, but after a hole */
    assert_string_equal(text.data, "1234567");
    text_clear(&text);
    assert_false(text.is_cut);
    assert_string_equal(text.data, "");
    text_printf(&text, "%s", "ok");
    assert_string_equal(text.data, "ok");
    text_printf(&text, "%300d", 1);
    assert_true(text.is_cut);
    assert_string_equal(text.data, "ok");
}

static void absurd_lengths_are_cut(void **state)
{
    (void)state;
    _cleanup_(text_releasep) struct text text;
    text_init(&text, SIZE_MAX);
    text_append(&text, "a");
    text_append_bytes(&text, "b", SIZE_MAX - 1);
    assert_true(text.is_cut);
    assert_string_equal(text.data, "a");
}

static void take_hands_over_and_starts_again(void **state)
{
    (void)state;
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100);
    _cleanup_(freep) char *nothing = text_take(&text);
    assert_string_equal(nothing, "");
    text_append(&text, "first");
    _cleanup_(freep) char *first = text_take(&text);
    assert_string_equal(text.data, "");
    text_append(&text, "second");
    assert_string_equal(first, "first");
    assert_string_equal(text.data, "second");
    assert_int_equal(text.max_bytes, 100);
}

static void release_leaves_a_usable_text(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, 100);
    text_append(&text, "gone");
    text_release(&text);
    assert_string_equal(text.data, "");
    text_append(&text, "again");
    assert_string_equal(text.data, "again");
    text_release(&text);
    text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_text_is_the_empty_string),
        cmocka_unit_test(appends_follow_each_other),
        cmocka_unit_test(zero_bytes_are_kept),
        cmocka_unit_test(it_grows_as_far_as_needed),
        cmocka_unit_test(the_maximum_cuts_without_holes),
        cmocka_unit_test(absurd_lengths_are_cut),
        cmocka_unit_test(take_hands_over_and_starts_again),
        cmocka_unit_test(release_leaves_a_usable_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
