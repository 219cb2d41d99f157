/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/view_options.h"

static const struct option_table table = {
    .groups = {{.title = "View", .specs = view_option_specs, .n_specs = VIEW_OPTION_N}},
    .values_bytes = sizeof(struct view_options),
};

static void what_is_not_said_is_not_restricted(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    char *argv[] = {(char[]){"top"}, NULL};
    struct parsed_options parsed;
    assert_int_equal(options_parse(&table, 1, argv, &arena, &parsed, NULL), 0);
    struct view view = view_options_view(parsed.values);
    assert_int_equal(view.run, 0);
    assert_int_equal(view.n_tids + view.n_exclude + view.n_focus, 0);
    assert_false(view_has_range(&view));
    assert_int_equal(view.mode, VIEW_MODE_ACTIVE);
}

static void everything_arrives(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    char *argv[] = {"top", "--run", "3",   "--tid",     "12",     "--tid",   "13",    "--from",
                    "-5",  "--to",  "2.5", "--exclude", "malloc", "--focus", "parse", NULL};
    struct parsed_options parsed;
    assert_int_equal(options_parse(&table, 15, argv, &arena, &parsed, NULL), 0);
    struct view view = view_options_view(parsed.values);
    assert_int_equal(view.run, 3);
    assert_int_equal(view.n_tids, 2);
    assert_int_equal(view.tids[1], 13);
    assert_true(view.has_from && view.has_to);
    assert_int_equal(view.from_ns, -5000000000);
    assert_int_equal(view.to_ns, 2500000000);
    assert_string_equal(view.exclude[0], "malloc");
    assert_string_equal(view.focus[0], "parse");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_said_is_not_restricted),
        cmocka_unit_test(everything_arrives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
