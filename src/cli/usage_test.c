/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/usage.h"

static const struct command *const commands[] = {
    &command_record,     &command_status,   &command_list,  &command_wait,     &command_stop,
    &command_select_run, &command_top,      &command_flame, &command_threads,  &command_intervals,
    &command_wakers,     &command_timeline, &command_why,   &command_diagnose, &command_shutdown,
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void help_names_every_command(void **state)
{
    (void)state;
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    usage_append_program(commands, N_COMMANDS, &text);
    for (size_t i = 0; i < N_COMMANDS; i++) {
        char line[128];
        snprintf(line, sizeof(line), "\n  %-12s%s\n", commands[i]->name, commands[i]->summary);
        assert_non_null(strstr(text.data, line));
    }
}

static void help_of_a_command_names_every_option(void **state)
{
    (void)state;
    for (size_t c = 0; c < N_COMMANDS; c++) {
        _cleanup_(text_releasep) struct text text;
        text_init(&text, 100000);
        usage_append_command(commands[c], &text);
        assert_false(text.is_cut);
        assert_non_null(strstr(text.data, commands[c]->examples));
        for (size_t g = 0; g < OPTION_GROUP_N; g++) {
            const struct option_group *group = &commands[c]->options.groups[g];
            for (size_t i = 0; i < group->n_specs; i++) {
                const struct option_spec *spec = &group->specs[i];
                char word[64];
                if (spec->name) {
                    snprintf(word, sizeof(word), "--%s", spec->name);
                } else {
                    snprintf(word, sizeof(word), "  -%c ", spec->letter);
                }
                assert_non_null(strstr(text.data, word));
                assert_non_null(strstr(text.data, spec->summary));
            }
        }
    }
}

static void lines_fit_a_wide_terminal(void **state)
{
    (void)state;
    for (size_t c = 0; c < N_COMMANDS; c++) {
        _cleanup_(text_releasep) struct text text;
        text_init(&text, 100000);
        usage_append_command(commands[c], &text);
        for (const char *line = text.data; *line != '\0';) {
            size_t length = strcspn(line, "\n");
            assert_true(length <= 100);
            line += length + (line[length] == '\n' ? 1 : 0);
        }
    }
}

/* Each option's default goes through the parser whenever a command starts. */
static void defaults_are_valid(void **state)
{
    (void)state;
    for (size_t c = 0; c < N_COMMANDS; c++) {
        _cleanup_(arena_releasep) struct arena arena;
        arena_init(&arena, 0);
        char *argv[] = {(char *)commands[c]->name, NULL};
        struct parsed_options parsed;
        struct error error = {0};
        assert_int_equal(options_parse(&commands[c]->options, 1, argv, &arena, &parsed, &error), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_names_every_command),
        cmocka_unit_test(help_of_a_command_names_every_option),
        cmocka_unit_test(lines_fit_a_wide_terminal),
        cmocka_unit_test(defaults_are_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
