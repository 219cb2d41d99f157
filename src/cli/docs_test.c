/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "cli/command.h"

/*
 * The manual pages and docs/reference/cli.md are written by hand; here they
 * are compared with the tables. The argument is the root of the source tree.
 */

static const struct command *const commands[] = {
    &command_record,     &command_status,    &command_list,    &command_wait,     &command_stop,
    &command_select_run, &command_save,      &command_open,    &command_export,   &command_compare,
    &command_top,        &command_flame,     &command_threads, &command_off_cpu,  &command_annotate,
    &command_neighbors,  &command_intervals, &command_wakers,  &command_timeline, &command_why,
    &command_target,     &command_diagnose,  &command_doctor,  &command_setup,    &command_shutdown,
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const char *source_root;

static void read_source(const char *name, char **ret_text)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", source_root, name);
    assert_int_equal(fd_read_file(path, 1 << 20, ret_text, NULL), 0);
}

static void assert_explained(const char *text, const char *spelling)
{
    if (!strstr(text, spelling)) {
        fail_msg("%s is not explained", spelling);
    }
}

static void assert_options_explained(const struct command *command, const char *text,
                                     const char *format)
{
    for (size_t g = 0; g < OPTION_GROUP_N; g++) {
        const struct option_group *group = &command->options.groups[g];
        for (size_t i = 0; i < group->n_specs; i++) {
            const struct option_spec *spec = &group->specs[i];
            char option[64];
            if (spec->name) {
                snprintf(option, sizeof(option), "--%s", spec->name);
            } else {
                snprintf(option, sizeof(option), "-%c", spec->letter);
            }
            char spelling[96];
            snprintf(spelling, sizeof(spelling), "%s%s", format, option);
            assert_explained(text, spelling);
            if (spec->fallback && spec->kind != OPTION_CHOICE) {
                snprintf(spelling, sizeof(spelling), "(default %s)", spec->fallback);
                assert_explained(text, spelling);
            }
        }
    }
}

static bool has_option(const struct command *command, const char *name, size_t length)
{
    if (length == 4 && strncmp(name, "help", length) == 0) {
        return true;
    }
    for (size_t g = 0; g < OPTION_GROUP_N; g++) {
        const struct option_group *group = &command->options.groups[g];
        for (size_t i = 0; i < group->n_specs; i++) {
            const char *known = group->specs[i].name;
            if (known && strlen(known) == length && strncmp(known, name, length) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Every "--word" of the text is an option of the command; a lone "--" is none. */
static void assert_no_stranger(const struct command *command, const char *text)
{
    for (const char *at = strstr(text, "--"); at; at = strstr(at + 2, "--")) {
        const char *name = at + 2;
        size_t length = 0;
        while (isalpha((unsigned char)name[length]) || name[length] == '-') {
            length++;
        }
        /* Options of the programs in the examples stand behind a lone "--". */
        bool is_of_example =
            length == strlen("iterations") && strncmp(name, "iterations", length) == 0;
        if (isalpha((unsigned char)*name) && !is_of_example && !has_option(command, name, length)) {
            fail_msg("%s has no --%.*s", command->name, (int)length, name);
        }
    }
}

static void manual_pages_have_every_option_and_no_other(void **state)
{
    (void)state;
    for (size_t c = 0; c < N_COMMANDS; c++) {
        char name[128];
        snprintf(name, sizeof(name), "packaging/man/stax-%s.1.scd", commands[c]->name);
        _cleanup_(freep) char *text = NULL;
        read_source(name, &text);
        assert_options_explained(commands[c], text, "*");
        assert_explained(text, commands[c]->summary);
        assert_no_stranger(commands[c], text);
    }
}

static void the_main_page_names_every_command(void **state)
{
    (void)state;
    _cleanup_(freep) char *text = NULL;
    read_source("packaging/man/stax.1.scd", &text);
    for (size_t c = 0; c < N_COMMANDS; c++) {
        char spelling[64];
        snprintf(spelling, sizeof(spelling), "*stax-%s*(1)", commands[c]->name);
        assert_explained(text, spelling);
    }
}

static void the_reference_lists_every_command_as_help_does(void **state)
{
    (void)state;
    _cleanup_(freep) char *text = NULL;
    read_source("docs/reference/cli.md", &text);
    for (size_t c = 0; c < N_COMMANDS; c++) {
        char row[256];
        snprintf(row, sizeof(row), "\n| [`%s`](#%s) | %s |\n", commands[c]->name, commands[c]->name,
                 commands[c]->summary);
        assert_explained(text, row);
    }
}

static void the_reference_has_every_option_and_no_other(void **state)
{
    (void)state;
    _cleanup_(freep) char *text = NULL;
    read_source("docs/reference/cli.md", &text);
    const char *shared = strstr(text, "\n## Common options\n");
    assert_non_null(shared);
    assert_explained(shared, "`--server PATH`");
    assert_explained(shared, "`--color WHEN`");
    for (size_t c = 0; c < N_COMMANDS; c++) {
        char heading[64];
        snprintf(heading, sizeof(heading), "\n## %s\n", commands[c]->name);
        const char *start = strstr(text, heading);
        assert_non_null(start);
        start += strlen(heading);
        const char *end = strstr(start, "\n## ");
        size_t length = end ? (size_t)(end - start) : strlen(start);
        const char *common =
            has_option(commands[c], "server", strlen("server")) ? "`--server` `--color`" : "";
        size_t section_bytes = length + strlen(common) + 1;
        _cleanup_(freep) char *section = malloc(section_bytes);
        assert_non_null(section);
        snprintf(section, section_bytes, "%.*s%s", (int)length, start, common);
        /* Options with a letter and a name are written `-F, --frequency HZ`. */
        assert_options_explained(commands[c], section, "");
        assert_no_stranger(commands[c], section);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s SOURCE-ROOT\n", argv[0]);
        return 1;
    }
    source_root = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manual_pages_have_every_option_and_no_other),
        cmocka_unit_test(the_main_page_names_every_command),
        cmocka_unit_test(the_reference_lists_every_command_as_help_does),
        cmocka_unit_test(the_reference_has_every_option_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
