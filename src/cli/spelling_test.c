/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/spelling.h"

static const char *const names[] = {"record", "status", "list", "top", "threads", "select-run"};

static const char *nearest(const char *word)
{
    return spelling_nearest(word, names, sizeof(names) / sizeof(names[0]));
}

static void typing_errors_are_understood(void **state)
{
    (void)state;
    assert_string_equal(nearest("recrod"), "record");
    assert_string_equal(nearest("tpo"), "top");
    assert_string_equal(nearest("thread"), "threads");
    assert_string_equal(nearest("stauts"), "status");
    assert_string_equal(nearest("select"), "select-run");
}

static void another_word_is_not_guessed(void **state)
{
    (void)state;
    assert_null(nearest("save"));
    assert_null(nearest("annotate"));
    assert_null(nearest(""));
    assert_null(nearest("x"));
    assert_null(nearest("a-very-long-word-that-nobody-would-ever-type-as-a-command"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(typing_errors_are_understood),
        cmocka_unit_test(another_word_is_not_guessed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
