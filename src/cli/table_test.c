/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/table.h"

static const struct table_column columns[] = {
    {"ms", TABLE_RIGHT},
    {"kind", TABLE_LEFT},
    {"name", TABLE_LEFT},
};

static const struct terminal plain = {.width = SIZE_MAX};
static const struct terminal narrow = {.is_terminal = true, .width = 32};
static const struct terminal coloured = {.is_terminal = true, .has_colour = true, .width = 80};

static void assert_rendered(const struct table *table, const struct terminal *terminal,
                            const char *expected)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 10000);
    table_append(table, terminal, &text);
    assert_string_equal(text.data, expected);
}

static void columns_are_aligned_without_blanks_at_the_end(void **state)
{
    (void)state;
    _cleanup_(table_releasep) struct table table;
    table_init(&table, columns, 3);
    table_add(&table, "%d.%02d", 1234, 5);
    table_add(&table, "x");
    table_add_label(&table, "main");
    table_add(&table, "7");
    table_add(&table, "größer");
    table_add_label(&table, "\033[2J");
    assert_rendered(&table, &plain,
                    "     ms  kind    name\n"
                    "1234.05  x       main\n"
                    "      7  größer  \\x1b[2J\n");
}

static void only_a_terminal_shortens_the_last_column(void **state)
{
    (void)state;
    _cleanup_(table_releasep) struct table table;
    table_init(&table, columns, 3);
    table_add(&table, "1");
    table_add(&table, "k");
    table_add_label(&table, "abcdefghijklmnopqrstuvwxyz");
    assert_rendered(&table, &plain,
                    "ms  kind  name\n"
                    " 1  k     abcdefghijklmnopqrstuvwxyz\n");
    assert_rendered(&table, &narrow,
                    "ms  kind  name\n"
                    " 1  k     abcdefghij…pqrstuvwxyz\n");
}

static void indentation_survives_shortening(void **state)
{
    (void)state;
    _cleanup_(table_releasep) struct table table;
    table_init(&table, columns, 3);
    table_add(&table, "1");
    table_add(&table, "k");
    table_add(&table, "    abcdefghijklmnopqrstuvwxyz");
    assert_rendered(&table, &narrow,
                    "ms  kind  name\n"
                    " 1  k         abcdefgh…rstuvwxyz\n");
}

static void colour_is_for_the_head(void **state)
{
    (void)state;
    _cleanup_(table_releasep) struct table table;
    table_init(&table, columns, 3);
    assert_rendered(&table, &coloured, "\033[1mms  kind  name\n\033[0m");
    assert_rendered(&table, &plain, "ms  kind  name\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_aligned_without_blanks_at_the_end),
        cmocka_unit_test(only_a_terminal_shortens_the_last_column),
        cmocka_unit_test(indentation_survives_shortening),
        cmocka_unit_test(colour_is_for_the_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
