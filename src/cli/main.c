/* SPDX-License-Identifier: MIT */

/*
 * The program stax: the table of commands, and what there is before a command.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/ask.h"
#include "cli/command.h"
#include "cli/complain.h"
#include "cli/completions.h"
#include "cli/options.h"
#include "cli/server_options.h"
#include "cli/spelling.h"
#include "cli/usage.h"

#define HELP_MAX_BYTES (256u * 1024)

static const struct command *const commands[] = {
    &command_record,    &command_status,     &command_list,     &command_wait,
    &command_stop,      &command_select_run, &command_save,     &command_open,
    &command_export,    &command_compare,    &command_top,      &command_flame,
    &command_threads,   &command_off_cpu,    &command_counters, &command_annotate,
    &command_neighbors, &command_intervals,  &command_wakers,   &command_timeline,
    &command_why,       &command_target,     &command_diagnose, &command_doctor,
    &command_setup,     &command_shutdown,
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

static int refuse_command(const char *name)
{
    const char *names[N_COMMANDS + 1];
    for (size_t i = 0; i < N_COMMANDS; i++) {
        names[i] = commands[i]->name;
    }
    names[N_COMMANDS] = "help";
    const char *nearest = spelling_nearest(name, names, N_COMMANDS + 1);
    if (nearest) {
        return complain_usage(NULL, "unknown command '%s'; did you mean '%s'?", name, nearest);
    }
    return complain_usage(NULL, "unknown command '%s'", name);
}

static int print_program_help(void)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, HELP_MAX_BYTES);
    usage_append_program(commands, N_COMMANDS, &text);
    return ask_print(&text);
}

static int print_command_help(const struct command *command)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, HELP_MAX_BYTES);
    usage_append_command(command, &text);
    return ask_print(&text);
}

static int print_version(void)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, HELP_MAX_BYTES);
    text_append(&text, "stax " STAX_VERSION "\n");
    return ask_print(&text);
}

static int print_completions(const char *shell)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, HELP_MAX_BYTES);
    if (!shell) {
        return complain_usage(NULL, "option '--completions' needs a value: bash, zsh or fish");
    }
    if (completions_append(shell, commands, N_COMMANDS, &text) < 0) {
        return complain_usage(NULL, "--completions: '%s' is not one of bash, zsh, fish", shell);
    }
    return ask_print(&text);
}

static int run_command(const struct command *command, int argc, char **argv)
{
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    struct error error = {0};
    struct parsed_options parsed;
    int r = options_parse(&command->options, argc, argv, &arena, &parsed, &error);
    if (r == OPTIONS_E_HELP) {
        return print_command_help(command);
    }
    if (r == -EINVAL) {
        return complain_usage(command, "%s", error.message);
    }
    if (r < 0) {
        complain("%s", strerror(-r));
        return EXIT_CODE_FAILED;
    }
    if (parsed.n_operands < command->min_operands) {
        return complain_usage(command, "%s is missing", command->operands);
    }
    if (command->max_operands >= 0 && parsed.n_operands > command->max_operands) {
        return complain_usage(command, "unexpected word '%s'",
                              parsed.operands[command->max_operands]);
    }
    struct invocation invocation = {
        .command = command,
        .values = parsed.values,
        .n_operands = parsed.n_operands,
        .operands = parsed.operands,
        .arena = &arena,
    };
    return command->run(&invocation);
}

/* `stax help [COMMAND]` */
static int run_help(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "help") == 0) {
        return print_program_help();
    }
    const struct command *command = find_command(argv[1]);
    return command ? print_command_help(command) : refuse_command(argv[1]);
}

static int run_program_option(const char *option, const char *next)
{
    static const char completions[] = "--completions";
    if (strcmp(option, "-h") == 0 || strcmp(option, "--help") == 0) {
        return print_program_help();
    }
    if (strcmp(option, "-V") == 0 || strcmp(option, "--version") == 0) {
        return print_version();
    }
    if (strcmp(option, completions) == 0) {
        return print_completions(next);
    }
    if (strncmp(option, completions, sizeof(completions) - 1) == 0 &&
        option[sizeof(completions) - 1] == '=') {
        return print_completions(option + sizeof(completions));
    }
    return complain_usage(NULL, "unknown option '%s'", option);
}

/*
 * Where one of the standard descriptors is closed, the next file or socket
 * would take its place and be written to as if it were stderr. A launched
 * target still finds it closed.
 */
static void occupy_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            (void)open("/dev/null", O_RDWR | O_CLOEXEC);
        }
    }
}

/* Number of words that `words[0]` takes as an option that every command has; 0: it is another. */
static int count_leading_words(char *const *words)
{
    for (size_t i = 0; i < SERVER_OPTION_N; i++) {
        const char *name = server_option_specs[i].name;
        size_t length = strlen(name);
        if (strncmp(words[0], "--", 2) != 0 || strncmp(words[0] + 2, name, length) != 0) {
            continue;
        }
        if (words[0][2 + length] == '=') {
            return 1;
        }
        if (words[0][2 + length] == '\0') {
            return words[1] ? 2 : 1;
        }
    }
    return 0;
}

/* `stax --server PATH top` means `stax top --server PATH`: the command's name moves to the front.
 */
static void put_command_first(int argc, char **argv)
{
    int at = 1;
    for (int n; at < argc && (n = count_leading_words(argv + at)) > 0;) {
        at += n;
    }
    if (at == 1 || at >= argc || argv[at][0] == '-') {
        return;
    }
    char *name = argv[at];
    memmove(argv + 2, argv + 1, (size_t)(at - 1) * sizeof(*argv));
    argv[1] = name;
}

int main(int argc, char **argv)
{
    occupy_standard_descriptors();
    log_open("stax", getenv("STAX_LOG"));
    if (argc < 2) {
        return complain_usage(NULL, "a command is missing");
    }
    put_command_first(argc, argv);
    if (argv[1][0] == '-') {
        return run_program_option(argv[1], argv[2]);
    }
    if (strcmp(argv[1], "help") == 0) {
        return run_help(argc - 1, argv + 1);
    }
    const struct command *command = find_command(argv[1]);
    return command ? run_command(command, argc - 1, argv + 1) : refuse_command(argv[1]);
}
