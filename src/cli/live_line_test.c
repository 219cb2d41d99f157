/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/live_line.h"

static const struct run_info run = {
    .duration_ns = 12500 * NS_PER_MS,
    .samples = 11250,
    .intervals = 320,
    .lost = 0,
};

static void the_line_tells_the_figures(void **state)
{
    (void)state;
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 1000);
    live_line_append(&run, NULL, &text);
    assert_string_equal(text.data, "12.5 s · 11250 samples · 320 off-CPU intervals · 0 lost");
    struct top_row row = {.name = "main\n", .self_pct = 43.4};
    struct top_result top = {.n_rows = 1, .rows = &row};
    text_clear(&text);
    live_line_append(&run, &top, &text);
    assert_string_equal(text.data,
                        "12.5 s · 11250 samples · 320 off-CPU intervals · 0 lost · main\\x0a 43 %");
    struct run_info with_spans = run;
    with_spans.spans = 7;
    text_clear(&text);
    live_line_append(&with_spans, NULL, &text);
    assert_string_equal(text.data,
                        "12.5 s · 11250 samples · 320 off-CPU intervals · 7 spans · 0 lost");
}

static void read_terminal(int master, char *ret_text, size_t text_bytes)
{
    struct pollfd readable = {.fd = master, .events = POLLIN};
    size_t n_bytes = 0;
    while (poll(&readable, 1, 50) > 0 && n_bytes + 1 < text_bytes) {
        ssize_t n = read(master, ret_text + n_bytes, text_bytes - 1 - n_bytes);
        if (n <= 0) {
            break;
        }
        n_bytes += (size_t)n;
    }
    ret_text[n_bytes] = '\0';
}

static void the_line_stands_below_the_cursor(void **state)
{
    (void)state;
    int master;
    int slave;
    struct winsize size = {.ws_col = 50, .ws_row = 24};
    if (openpty(&master, &slave, NULL, NULL, &size) < 0) {
        print_message("skipped: this host has no pseudo terminals (/dev/pts)\n");
        skip();
    }
    setenv("TERM", "xterm", 1);
    setenv("NO_COLOR", "1", 1);
    assert_true(live_line_can_draw(slave));
    live_line_draw(slave, "abc");
    char seen[1000];
    read_terminal(master, seen, sizeof(seen));
    assert_string_equal(seen, "\033[J\033D\033M\0337\033[1B\rabc\0338");

    /* Never as wide as the terminal, or it would wrap. */
    live_line_draw(slave, "01234567890123456789012345678901234567890123456789x");
    read_terminal(master, seen, sizeof(seen));
    const char *start = strchr(seen, '\r') + 1;
    assert_int_equal(strcspn(start, "\033"), 49 + 2); /* 49 columns; the ellipsis has 3 bytes */

    live_line_erase(slave);
    read_terminal(master, seen, sizeof(seen));
    assert_string_equal(seen, "\033[J");
    close(slave);
    close(master);
}

static void a_program_that_draws_itself_is_left_alone(void **state)
{
    (void)state;
    int master;
    int slave;
    if (openpty(&master, &slave, NULL, NULL, NULL) < 0) {
        print_message("skipped: this host has no pseudo terminals (/dev/pts)\n");
        skip();
    }
    struct termios modes;
    assert_int_equal(tcgetattr(slave, &modes), 0);
    cfmakeraw(&modes);
    assert_int_equal(tcsetattr(slave, TCSANOW, &modes), 0);
    live_line_draw(slave, "abc");
    live_line_erase(slave);
    char seen[100];
    read_terminal(master, seen, sizeof(seen));
    assert_string_equal(seen, "");
    setenv("TERM", "dumb", 1);
    assert_false(live_line_can_draw(slave));
    unsetenv("TERM");
    assert_false(live_line_can_draw(slave));
    setenv("TERM", "xterm", 1);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_false(live_line_can_draw(ends[1]));
    close(ends[0]);
    close(ends[1]);
    close(slave);
    close(master);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_line_tells_the_figures),
        cmocka_unit_test(the_line_stands_below_the_cursor),
        cmocka_unit_test(a_program_that_draws_itself_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
