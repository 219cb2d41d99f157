/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/completions.h"

static const struct command *const commands[] = {&command_record, &command_top, &command_flame,
                                                 &command_target};
#define N_COMMANDS 4

static void make(const char *shell, struct text *text)
{
    text_init(text, 1000000);
    assert_int_equal(completions_append(shell, commands, N_COMMANDS, text), 0);
    assert_false(text->is_cut);
}

static void every_shell_knows_every_command_and_option(void **state)
{
    (void)state;
    static const char *const shells[] = {"bash", "zsh", "fish"};
    static const char *const words[] = {
        "record",     "top",           "flame", "help",   "frequency",
        "time-limit", "threshold-pct", "focus", "server", "auto always never"};
    for (size_t s = 0; s < 3; s++) {
        _cleanup_(text_releasep) struct text text;
        make(shells[s], &text);
        for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++) {
            assert_non_null(strstr(text.data, words[w]));
        }
    }
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 1000);
    assert_int_equal(completions_append("tcsh", commands, N_COMMANDS, &text), -EINVAL);
    assert_string_equal(text.data, "");
}

/* Runs the script in bash and completes the last word of the line. */
static void assert_completed(const char *words, const char *expected)
{
    _cleanup_(text_releasep) struct text text;
    make("bash", &text);
    char path[] = "/tmp/completions-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    text_printf(&text,
                "COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _stax\n"
                "test \"${COMPREPLY[*]}\" = '%s'\n",
                words, expected);
    assert_int_equal(fd_write_all(fd, text.data, text.length_bytes), 0);
    fd_close(fd);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execlp("bash", "bash", path, (char *)NULL);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    remove(path);
}

static void bash_completes(void **state)
{
    (void)state;
    assert_completed("stax re", "record");
    assert_completed("stax help fl", "flame");
    assert_completed("stax top --so", "--sort");
    assert_completed("stax top --sort t", "total");
    assert_completed("stax --completions f", "fish");
    assert_completed("stax record --fre", "--frequency");
    assert_completed("stax top --run ''", "");
    assert_completed("stax target or", "origins");
    assert_completed("stax target top --by p9", "p95 p99");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shell_knows_every_command_and_option),
        cmocka_unit_test(bash_completes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
