/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/archive_path.h"

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    arena_init(&arena, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static void a_path_is_seen_from_where_it_was_typed(void **state)
{
    (void)state;
    char directory[PATH_MAX];
    assert_non_null(getcwd(directory, sizeof(directory)));
    const char *path = archive_path_absolute(&arena, "x/run.stax");
    assert_int_equal(strncmp(path, directory, strlen(directory)), 0);
    assert_string_equal(path + strlen(directory), "/x/run.stax");
    assert_string_equal(archive_path_absolute(&arena, "/a/b"), "/a/b");
}

static const char *expand(const char *pattern, const char *command)
{
    const struct archive_path_facts facts = {
        .pid = 4711, .started_unix_ns = UINT64_C(1800000000) * NS_PER_S, .command = command};
    return archive_path_expand(&arena, pattern, &facts);
}

static void facts_stand_in_the_name(void **state)
{
    (void)state;
    assert_string_equal(expand("/tmp/%n-%p.stax", "/usr/bin/python3 slow.py /x"),
                        "/tmp/python3-4711.stax");
    assert_string_equal(expand("%t", "x"), "2027-01-15T08.00.00");
    assert_string_equal(expand("100%%", "x"), "100%");
    assert_string_equal(expand("%n", ""), "unnamed");
    assert_string_equal(expand("%n", "a\tb c"), "a_b");
    assert_string_equal(expand("plain", NULL), "plain");
}

static void other_letters_are_refused(void **state)
{
    (void)state;
    errno = 0;
    assert_null(expand("%q", "x"));
    assert_int_equal(errno, EINVAL);
    assert_null(expand("x%", "x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_path_is_seen_from_where_it_was_typed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(facts_stand_in_the_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_letters_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
