/* SPDX-License-Identifier: MIT */
#include "cli/live_line.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/label.h"
#include "cli/quantity.h"
#include "cli/terminal.h"

#define LINE_MAX_BYTES 4096

/* ECMA-48 and the VT100: erase below, make room below, save the cursor, go there; and back. */
#define ERASE_BELOW "\033[J"
#define GO_BELOW "\033D\033M\0337\033[1B\r"
#define GO_BACK "\0338"

void live_line_append(const struct run_info *run, const struct top_result *top, struct text *text)
{
    char duration[QUANTITY_TEXT_BYTES];
    quantity_format_duration(run->duration_ns, duration);
    text_printf(text, "%s · %" PRIu64 " samples · %" PRIu64 " off-CPU intervals · ", duration,
                run->samples, run->intervals);
    if (run->spans > 0) {
        text_printf(text, "%" PRIu64 " spans · ", run->spans);
    }
    text_printf(text, "%" PRIu64 " lost", run->lost);
    if (top && top->n_rows > 0) {
        text_append(text, " · ");
        label_append(text, top->rows[0].name);
        text_printf(text, " %.0f %%", top->rows[0].self_pct);
    }
}

bool live_line_can_draw(int fd)
{
    const char *term = getenv("TERM");
    return isatty(fd) == 1 && term && term[0] != '\0' && strcmp(term, "dumb") != 0;
}

static bool is_our_turn(int fd)
{
    struct termios modes;
    pid_t group = tcgetpgrp(fd); /* fails where the terminal is not ours to control */
    return (group < 0 || group == getpgrp()) && tcgetattr(fd, &modes) == 0 &&
           (modes.c_lflag & ICANON);
}

void live_line_draw(int fd, const char *line)
{
    if (!is_our_turn(fd)) {
        return;
    }
    struct terminal terminal;
    terminal_probe(fd, COLOUR_AUTO, &terminal);
    _cleanup_(text_releasep) struct text text;
    text_init(&text, LINE_MAX_BYTES);
    text_printf(&text, ERASE_BELOW GO_BELOW "%s", terminal_dim(&terminal));
    /* A line that fills the last column would wrap. */
    label_append_shortened(&text, line, terminal.width - 1);
    text_printf(&text, "%s" GO_BACK, terminal_plain(&terminal));
    (void)fd_write_all(fd, text.data, text.length_bytes);
}

void live_line_erase(int fd)
{
    if (is_our_turn(fd)) {
        (void)fd_write_all(fd, ERASE_BELOW, strlen(ERASE_BELOW));
    }
}
