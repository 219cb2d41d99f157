/* SPDX-License-Identifier: MIT */
#include "interchange/export_strings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

static void equal_strings_have_one_number(void **state)
{
    (void)state;
    static char texts[2000][8];
    char copy[] = "1999";
    struct export_strings strings;
    export_strings_init(&strings);
    assert_int_equal(export_strings_number(&strings, ""), 0);
    assert_int_equal(export_strings_number(&strings, NULL), 0);
    for (unsigned int i = 0; i < 2000; i++) {
        snprintf(texts[i], sizeof(texts[i]), "%u", i);
        assert_int_equal(export_strings_number(&strings, texts[i]), i + 1);
    }
    assert_int_equal(export_strings_number(&strings, copy), 2000);
    assert_string_equal(strings.strings[2000], "1999");
    assert_int_equal(strings.n_strings, 2001);
    assert_false(strings.is_cut);
    export_strings_release(&strings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(equal_strings_have_one_number)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
