/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/error.h"

static void code_message_and_hint_are_kept(void **state)
{
    (void)state;
    struct error error = {0};
    assert_false(error_is_set(&error));
    error_hint(&error, "left over");
    error_set(&error, "no_active_run", "run %d does not exist", 7);
    assert_true(error_is_set(&error));
    assert_string_equal(error.code, "no_active_run");
    assert_string_equal(error.message, "run 7 does not exist");
    assert_string_equal(error.hint, "");
    error_hint(&error, "type `stax %s`", "list");
    assert_string_equal(error.hint, "type `stax list`");
    assert_string_equal(error.message, "run 7 does not exist");
}

static void null_is_accepted(void **state)
{
    (void)state;
    error_set(NULL, "code", "message");
    error_hint(NULL, "hint");
    error_set_errno(NULL, -ENOENT, "opening");
    struct error error = {0};
    assert_false(error_is_set(&error));
}

static void an_errno_is_told_in_words(void **state)
{
    (void)state;
    struct error error;
    error_set_errno(&error, -ENOENT, "opening /proc/1/maps");
    assert_string_equal(error.code, "internal");
    assert_string_equal(error.message, "opening /proc/1/maps: No such file or directory");
}

static void long_texts_are_cut(void **state)
{
    (void)state;
    struct error error;
    error_set(&error, "a_code_that_is_longer_than_the_forty_bytes_there_are", "%1000d", 1);
    assert_int_equal(strlen(error.code), ERROR_CODE_BYTES - 1);
    assert_int_equal(strlen(error.message), ERROR_TEXT_BYTES - 1);
    error_hint(&error, "%1000d", 1);
    assert_int_equal(strlen(error.hint), ERROR_TEXT_BYTES - 1);
}

/* Puts a character of 2, 3 or 4 bytes at each place around the cut. */
static void no_character_is_cut_in_half(void **state)
{
    (void)state;
    const char *const characters[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\xa2"};
    for (size_t c = 0; c < 3; c++) {
        size_t n_bytes = strlen(characters[c]);
        for (int padding = ERROR_TEXT_BYTES - 6; padding < ERROR_TEXT_BYTES + 1; padding++) {
            struct error error;
            error_set(&error, "code", "%*s%s....", padding, "", characters[c]);
            size_t length = strlen(error.message);
            bool fits = (size_t)padding + n_bytes <= ERROR_TEXT_BYTES - 1;
            if (fits) {
                assert_memory_equal(error.message + padding, characters[c], n_bytes);
                assert_true(length >= (size_t)padding + n_bytes);
            } else {
                size_t wanted =
                    (size_t)padding < ERROR_TEXT_BYTES - 1 ? (size_t)padding : ERROR_TEXT_BYTES - 1;
                assert_int_equal(length, wanted);
            }
        }
    }
}

static void bytes_that_are_no_characters_do_no_harm(void **state)
{
    (void)state;
    char stray[ERROR_TEXT_BYTES + 50];
    memset(stray, 0x80, sizeof(stray));
    stray[sizeof(stray) - 1] = '\0';
    struct error error;
    error_set(&error, "code", "%s", stray);
    assert_true(strlen(error.message) >= ERROR_TEXT_BYTES - 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_message_and_hint_are_kept),
        cmocka_unit_test(null_is_accepted),
        cmocka_unit_test(an_errno_is_told_in_words),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(no_character_is_cut_in_half),
        cmocka_unit_test(bytes_that_are_no_characters_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
