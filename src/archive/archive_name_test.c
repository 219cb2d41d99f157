/* SPDX-License-Identifier: MIT */
#include "archive/archive_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "archive/archive_file.h"

static void usual_names_are_valid(void **state)
{
    (void)state;
    static const char *const names[] = {
        "a", "manifest.json", "records/samples", "blobs/0f-3_a.bin", "a/b/c/d/e/f/g/h", "a..b", "-",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_true(archive_name_is_valid(names[i]));
    }
}

static void names_that_lead_elsewhere_are_not(void **state)
{
    (void)state;
    static const char *const names[] = {
        "",        "/",     "/etc/passwd", "..",   "../a",  "a/../b",   "a/..",
        ".",       "./a",   "a/./b",       "a//b", "a/",    ".hidden",  "a/.b",
        "Records", "a b",   "a\\b",        "a\n",  "c:\\x", "\xc3\xa4", "a/b/c/d/e/f/g/h/i",
        "a*",      "~root", "$a",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_false(archive_name_is_valid(names[i]));
    }
}

static void names_are_no_longer_than_the_limit(void **state)
{
    (void)state;
    char name[ARCHIVE_NAME_BYTES + 2] = {0};
    memset(name, 'a', ARCHIVE_NAME_BYTES);
    assert_true(archive_name_is_valid(name));
    name[ARCHIVE_NAME_BYTES] = 'a';
    assert_false(archive_name_is_valid(name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usual_names_are_valid),
        cmocka_unit_test(names_that_lead_elsewhere_are_not),
        cmocka_unit_test(names_are_no_longer_than_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
