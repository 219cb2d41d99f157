/* SPDX-License-Identifier: MIT */
#include "cli/completions.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef void (*option_cb)(struct text *text, const struct command *command,
                          const struct option_spec *spec);

static void for_each_option(struct text *text, const struct command *command, option_cb append)
{
    for (size_t g = 0; g < OPTION_GROUP_N; g++) {
        const struct option_group *group = &command->options.groups[g];
        for (size_t i = 0; i < group->n_specs; i++) {
            append(text, command, &group->specs[i]);
        }
    }
}

static void append_commands(struct text *text, const struct command *const *commands,
                            size_t n_commands)
{
    for (size_t i = 0; i < n_commands; i++) {
        text_printf(text, "%s ", commands[i]->name);
    }
    text_append(text, "help");
}

/* Words that its operand can be, each with a blank behind it. */
static void append_operands(struct text *text, const struct command *command)
{
    for (size_t i = 0; command->operand_choices && command->operand_choices[i]; i++) {
        text_printf(text, "%s ", command->operand_choices[i]);
    }
}

static bool is_file(const struct option_spec *spec)
{
    return spec->kind == OPTION_TEXT && strcmp(spec->value_name, "PATH") == 0;
}

static void append_choices(struct text *text, const struct option_spec *spec)
{
    for (size_t i = 0; spec->choices[i]; i++) {
        text_printf(text, "%s%s", i > 0 ? " " : "", spec->choices[i]);
    }
}

/* bash ------------------------------------------------------------------- */

static void bash_option_words(struct text *text, const struct command *command,
                              const struct option_spec *spec)
{
    (void)command;
    if (spec->name) {
        text_printf(text, "--%s ", spec->name);
    }
    if (spec->letter != '\0') {
        text_printf(text, "-%c ", spec->letter);
    }
}

static void bash_option_pattern(struct text *text, const struct option_spec *spec)
{
    const char *separator = "";
    if (spec->name) {
        text_printf(text, "--%s", spec->name);
        separator = "|";
    }
    if (spec->letter != '\0') {
        text_printf(text, "%s-%c", separator, spec->letter);
    }
    if (spec->alias != '\0') {
        text_printf(text, "|-%c", spec->alias);
    }
}

static void bash_option_value(struct text *text, const struct command *command,
                              const struct option_spec *spec)
{
    (void)command;
    if (spec->kind == OPTION_FLAG) {
        return;
    }
    text_append(text, "        ");
    bash_option_pattern(text, spec);
    if (spec->kind == OPTION_CHOICE) {
        text_append(text, ") COMPREPLY=($(compgen -W '");
        append_choices(text, spec);
        text_append(text, "' -- \"$word\")); return ;;\n");
    } else if (is_file(spec)) {
        text_append(text, ") COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n");
    } else {
        text_append(text, ") return ;;\n");
    }
}

static void bash(struct text *text, const struct command *const *commands, size_t n_commands)
{
    text_append(text,
                "# bash completion for stax: source <(stax --completions bash)\n"
                "_stax()\n"
                "{\n"
                "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
                "    local command=${COMP_WORDS[1]} i\n"
                "    COMPREPLY=()\n"
                "    if [ \"$COMP_CWORD\" -eq 1 ] || [ \"$command\" = help ]; then\n"
                "        COMPREPLY=($(compgen -W '");
    append_commands(text, commands, n_commands);
    text_append(text, " --help --version --completions' -- \"$word\"))\n"
                      "        return\n"
                      "    fi\n"
                      "    case $command in\n"
                      "    --completions)\n"
                      "        COMPREPLY=($(compgen -W 'bash zsh fish' -- \"$word\")) ;;\n");
    for (size_t c = 0; c < n_commands; c++) {
        const struct command *command = commands[c];
        text_printf(text, "    %s)\n", command->name);
        if (command->options.stops_at_operand) {
            text_append(text, "        for ((i = 2; i < COMP_CWORD; i++)); do\n"
                              "            if [ \"${COMP_WORDS[i]}\" = -- ]; then\n"
                              "                if [ \"$i\" -eq $((COMP_CWORD - 1)) ]; then\n"
                              "                    COMPREPLY=($(compgen -c -- \"$word\"))\n"
                              "                else\n"
                              "                    COMPREPLY=($(compgen -f -- \"$word\"))\n"
                              "                fi\n"
                              "                return\n"
                              "            fi\n"
                              "        done\n");
        }
        text_append(text, "        case $before in\n");
        for_each_option(text, command, bash_option_value);
        text_append(text, "        esac\n"
                          "        COMPREPLY=($(compgen -W '");
        for_each_option(text, command, bash_option_words);
        append_operands(text, command);
        text_append(text, "--help' -- \"$word\")) ;;\n");
    }
    text_append(text, "    esac\n"
                      "}\n"
                      "complete -F _stax stax\n");
}

/* zsh -------------------------------------------------------------------- */

/* Inside '…[…]:…:…': quotes, brackets and colons have a meaning. */
static void zsh_text(struct text *text, const char *words)
{
    for (; *words != '\0'; words++) {
        if (*words == '\'') {
            text_append(text, "'\\''");
        } else if (strchr("[]:\\", *words)) {
            text_printf(text, "\\%c", *words);
        } else {
            text_append_char(text, *words);
        }
    }
}

static void zsh_spelling(struct text *text, const struct option_spec *spec, const char *spelling)
{
    bool is_list = spec->kind == OPTION_TEXT_LIST || spec->kind == OPTION_ID_LIST;
    text_printf(text, " \\\n            '%s%s[", is_list ? "*" : "", spelling);
    zsh_text(text, spec->summary);
    text_append_char(text, ']');
    if (spec->kind != OPTION_FLAG) {
        text_append_char(text, ':');
        zsh_text(text, spec->value_name);
        text_append_char(text, ':');
    }
    if (spec->kind == OPTION_CHOICE) {
        text_append_char(text, '(');
        append_choices(text, spec);
        text_append_char(text, ')');
    } else if (is_file(spec)) {
        text_append(text, "_files");
    }
    text_append_char(text, '\'');
}

static void zsh_option(struct text *text, const struct command *command,
                       const struct option_spec *spec)
{
    (void)command;
    if (spec->name) {
        char spelling[64];
        snprintf(spelling, sizeof(spelling), "--%s", spec->name);
        zsh_spelling(text, spec, spelling);
    }
    if (spec->letter != '\0') {
        zsh_spelling(text, spec, (const char[]){'-', spec->letter, '\0'});
    }
}

static void zsh(struct text *text, const struct command *const *commands, size_t n_commands)
{
    text_append(text, "#compdef stax\n"
                      "# zsh completion for stax: source <(stax --completions zsh)\n"
                      "_stax()\n"
                      "{\n"
                      "    if (( CURRENT == 2 )); then\n"
                      "        local -a commands=(\n");
    for (size_t c = 0; c < n_commands; c++) {
        text_printf(text, "            '%s:", commands[c]->name);
        zsh_text(text, commands[c]->summary);
        text_append(text, "'\n");
    }
    text_append(text, "            'help:the help of a command'\n"
                      "        )\n"
                      "        _describe command commands\n"
                      "        _arguments --help --version '--completions:shell:(bash zsh fish)'\n"
                      "        return\n"
                      "    fi\n"
                      "    local command=$words[2]\n"
                      "    shift words\n"
                      "    (( CURRENT-- ))\n"
                      "    case $command in\n"
                      "    help)\n"
                      "        _values command ");
    append_commands(text, commands, n_commands);
    text_append(text, " ;;\n");
    for (size_t c = 0; c < n_commands; c++) {
        text_printf(text, "    %s)\n        _arguments", commands[c]->name);
        for_each_option(text, commands[c], zsh_option);
        text_append(text, " \\\n            '(- *)--help[this text]'");
        if (commands[c]->operand_choices) {
            text_append(text, " \\\n            ':question:(");
            append_operands(text, commands[c]);
            text_append(text, ")'");
        }
        if (commands[c]->options.stops_at_operand) {
            text_append(text, " \\\n            '*::command: _normal'");
        }
        text_append(text, " ;;\n");
    }
    text_append(
        text, "    esac\n"
              "}\n"
              "if [ \"$funcstack[1]\" = _stax ]; then _stax \"$@\"; else compdef _stax stax; fi\n");
}

/* fish ------------------------------------------------------------------- */

static void fish_text(struct text *text, const char *words)
{
    text_append_char(text, '\'');
    for (; *words != '\0'; words++) {
        if (*words == '\'' || *words == '\\') {
            text_append_char(text, '\\');
        }
        text_append_char(text, *words);
    }
    text_append_char(text, '\'');
}

static void fish_option(struct text *text, const struct command *command,
                        const struct option_spec *spec)
{
    text_printf(text, "complete -c stax -n '__fish_seen_subcommand_from %s'", command->name);
    if (spec->name) {
        text_printf(text, " -l %s", spec->name);
    }
    if (spec->letter != '\0') {
        text_printf(text, " -s %c", spec->letter);
    }
    if (is_file(spec)) {
        text_append(text, " -r -F");
    } else if (spec->kind == OPTION_CHOICE) {
        text_append(text, " -x -a '");
        append_choices(text, spec);
        text_append_char(text, '\'');
    } else if (spec->kind != OPTION_FLAG) {
        text_append(text, " -x");
    }
    text_append(text, " -d ");
    fish_text(text, spec->summary);
    text_append_char(text, '\n');
}

static void fish(struct text *text, const struct command *const *commands, size_t n_commands)
{
    text_append(text, "# fish completion for stax: stax --completions fish | source\n"
                      "complete -c stax -f\n"
                      "complete -c stax -n __fish_use_subcommand -s h -l help -d 'help'\n"
                      "complete -c stax -n __fish_use_subcommand -s V -l version -d 'version'\n"
                      "complete -c stax -n __fish_use_subcommand -l completions -x "
                      "-a 'bash zsh fish' -d 'a completion script'\n"
                      "complete -c stax -n __fish_use_subcommand -a help -d "
                      "'the help of a command'\n");
    for (size_t c = 0; c < n_commands; c++) {
        text_printf(text, "complete -c stax -n __fish_use_subcommand -a %s -d ", commands[c]->name);
        fish_text(text, commands[c]->summary);
        text_append_char(text, '\n');
        for_each_option(text, commands[c], fish_option);
        if (commands[c]->operand_choices) {
            text_printf(text, "complete -c stax -n '__fish_seen_subcommand_from %s' -a '",
                        commands[c]->name);
            append_operands(text, commands[c]);
            text_append(text, "'\n");
        }
        text_printf(text,
                    "complete -c stax -n '__fish_seen_subcommand_from %s' -s h -l help -d 'help'\n",
                    commands[c]->name);
        if (commands[c]->options.stops_at_operand) {
            text_printf(text,
                        "complete -c stax -n '__fish_seen_subcommand_from %s' "
                        "-x -a '(__fish_complete_subcommand --fcs-skip=2)'\n",
                        commands[c]->name);
        }
    }
}

int completions_append(const char *shell, const struct command *const *commands, size_t n_commands,
                       struct text *text)
{
    if (strcmp(shell, "bash") == 0) {
        bash(text, commands, n_commands);
    } else if (strcmp(shell, "zsh") == 0) {
        zsh(text, commands, n_commands);
    } else if (strcmp(shell, "fish") == 0) {
        fish(text, commands, n_commands);
    } else {
        return -EINVAL;
    }
    return 0;
}
