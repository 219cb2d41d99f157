/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pty.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/terminal.h"

static void a_pipe_has_no_width_and_no_colour(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct terminal terminal;
    terminal_probe(ends[1], COLOUR_AUTO, &terminal);
    assert_false(terminal.is_terminal);
    assert_false(terminal.has_colour);
    assert_true(terminal.width == SIZE_MAX);
    assert_string_equal(terminal_bold(&terminal), "");
    terminal_probe(ends[1], COLOUR_ALWAYS, &terminal);
    assert_true(terminal.has_colour);
    assert_string_equal(terminal_bold(&terminal), "\033[1m");
    close(ends[0]);
    close(ends[1]);
}

static void a_terminal_has_both_unless_told_otherwise(void **state)
{
    (void)state;
    int master;
    int slave;
    struct winsize size = {.ws_col = 120, .ws_row = 40};
    if (openpty(&master, &slave, NULL, NULL, &size) < 0) {
        print_message("skipped: this host has no pseudo terminals (/dev/pts)\n");
        skip();
    }
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    struct terminal terminal;
    terminal_probe(slave, COLOUR_AUTO, &terminal);
    assert_true(terminal.is_terminal);
    assert_true(terminal.has_colour);
    assert_int_equal(terminal.width, 120);
    terminal_probe(slave, COLOUR_NEVER, &terminal);
    assert_false(terminal.has_colour);
    setenv("NO_COLOR", "1", 1);
    terminal_probe(slave, COLOUR_AUTO, &terminal);
    assert_false(terminal.has_colour);
    setenv("NO_COLOR", "", 1);
    terminal_probe(slave, COLOUR_AUTO, &terminal);
    assert_true(terminal.has_colour);
    setenv("TERM", "dumb", 1);
    terminal_probe(slave, COLOUR_AUTO, &terminal);
    assert_false(terminal.has_colour);
    size.ws_col = 0;
    assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
    terminal_probe(slave, COLOUR_AUTO, &terminal);
    assert_int_equal(terminal.width, 80);
    close(slave);
    close(master);
}

static bool is_ascii_with(const char *all, const char *ctype, const char *lang)
{
    const struct {
        const char *name, *value;
    } variables[] = {{"LC_ALL", all}, {"LC_CTYPE", ctype}, {"LANG", lang}};
    for (size_t i = 0; i < 3; i++) {
        if (variables[i].value) {
            setenv(variables[i].name, variables[i].value, 1);
        } else {
            unsetenv(variables[i].name);
        }
    }
    struct terminal terminal;
    terminal_probe(STDOUT_FILENO, COLOUR_NEVER, &terminal);
    return terminal.is_ascii;
}

static void the_locale_says_whether_there_is_more_than_ascii(void **state)
{
    (void)state;
    assert_true(is_ascii_with(NULL, NULL, NULL));
    assert_true(is_ascii_with("C", NULL, "de_DE.UTF-8"));
    assert_true(is_ascii_with(NULL, "POSIX", "de_DE.UTF-8"));
    assert_true(is_ascii_with(NULL, NULL, "de_DE.ISO-8859-1"));
    assert_false(is_ascii_with(NULL, NULL, "de_DE.UTF-8"));
    assert_false(is_ascii_with("", "", "en_US.utf8")); /* set, but to nothing */
    assert_false(is_ascii_with("C.UTF-8", "C", "C"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pipe_has_no_width_and_no_colour),
        cmocka_unit_test(a_terminal_has_both_unless_told_otherwise),
        cmocka_unit_test(the_locale_says_whether_there_is_more_than_ascii),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
