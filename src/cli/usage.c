/* SPDX-License-Identifier: MIT */
#include "cli/usage.h"

#include <stdio.h>
#include <string.h>

#define OPTION_COLUMN 30 /* where an option's summary begins */
#define COMMAND_COLUMN 14

static void append_summary(struct text *text, size_t length, size_t column, const char *summary)
{
    if (length + 2 > column) {
        text_append_char(text, '\n');
        length = 0;
    }
    text_printf(text, "%*s%s", (int)(column - length), "", summary);
}

static void append_option(const struct option_spec *spec, struct text *text)
{
    char left[96];
    int length;
    if (spec->letter != '\0' && spec->name) {
        length = snprintf(left, sizeof(left), "  -%c, --%s", spec->letter, spec->name);
    } else if (spec->name) {
        length = snprintf(left, sizeof(left), "      --%s", spec->name);
    } else {
        length = snprintf(left, sizeof(left), "  -%c", spec->letter);
    }
    if (spec->kind != OPTION_FLAG) {
        length += snprintf(left + length, sizeof(left) - (size_t)length, " %s", spec->value_name);
    }
    text_append(text, left);
    append_summary(text, (size_t)length, OPTION_COLUMN, spec->summary);
    if (spec->kind == OPTION_TEXT_LIST || spec->kind == OPTION_ID_LIST) {
        text_append(text, "; repeatable");
    }
    if (spec->alias != '\0') {
        text_printf(text, "; also -%c", spec->alias);
    }
    if (spec->fallback) {
        text_printf(text, " (default %s)", spec->fallback);
    }
    text_append_char(text, '\n');
}

void usage_append_command(const struct command *command, struct text *text)
{
    text_printf(text, "Usage: stax %s [options]", command->name);
    if (command->operands) {
        text_printf(text, " %s", command->operands);
    }
    text_printf(text, "\n\n%s\n", command->description);
    for (size_t g = 0; g < OPTION_GROUP_N; g++) {
        const struct option_group *group = &command->options.groups[g];
        if (group->n_specs == 0) {
            continue;
        }
        text_printf(text, "\n%s:\n", group->title);
        for (size_t i = 0; i < group->n_specs; i++) {
            append_option(&group->specs[i], text);
        }
    }
    text_append(text, "\n  -h, --help");
    append_summary(text, strlen("  -h, --help"), OPTION_COLUMN, "this text\n");
    text_printf(text, "\nExamples:\n%s", command->examples);
}

void usage_append_program(const struct command *const *commands, size_t n_commands,
                          struct text *text)
{
    text_append(text, "Usage: stax COMMAND [options]\n\n"
                      "A live profiler: record a program, ask about it while it runs.\n\n"
                      "Commands:\n");
    for (size_t i = 0; i < n_commands; i++) {
        text_printf(text, "  %s", commands[i]->name);
        append_summary(text, strlen(commands[i]->name) + 2, COMMAND_COLUMN, commands[i]->summary);
        text_append_char(text, '\n');
    }
    text_append(text,
                "  help        the help of a command: stax help top\n"
                "\n"
                "Options:\n"
                "  -h, --help                  this text; of a command: stax COMMAND --help\n"
                "  -V, --version               the version\n"
                "      --completions SHELL     a completion script: bash, zsh or fish\n"
                "      --server PATH           the server's socket; also after the command\n"
                "      --color WHEN            auto, always or never; also after the command\n"
                "\n"
                "Examples:\n"
                "  stax record -- ./bench --iterations 100\n"
                "  stax record --pid 4711 --time-limit 10\n"
                "  stax top -n 10               # while it runs, or afterwards\n"
                "  stax flame --tid 4712\n"
                "\n"
                "Environment: STAX_SERVER_SOCKET, STAX_AUTOSTART, STAX_DWARF_UNWIND, STAX_LOG,\n"
                "NO_COLOR. More: man stax\n");
}
