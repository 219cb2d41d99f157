/* SPDX-License-Identifier: MIT */
#include "cli/terminal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define FALLBACK_WIDTH 80
#define LEAST_WIDTH 40 /* narrower ones are wrapped by the terminal */

static bool wants_colour(bool is_terminal, enum colour_choice choice)
{
    if (choice != COLOUR_AUTO) {
        return choice == COLOUR_ALWAYS;
    }
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return is_terminal && !(no_color && no_color[0] != '\0') && term && strcmp(term, "dumb") != 0;
}

/* As the C library chooses: the first of these that is set. */
static bool is_utf8_locale(void)
{
    static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        const char *locale = getenv(variables[i]);
        if (locale && locale[0] != '\0') {
            return strcasestr(locale, "utf-8") || strcasestr(locale, "utf8");
        }
    }
    return false;
}

void terminal_probe(int fd, enum colour_choice choice, struct terminal *ret_terminal)
{
    bool is_terminal = isatty(fd) == 1;
    size_t width = SIZE_MAX;
    if (is_terminal) {
        struct winsize size = {0};
        width = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : FALLBACK_WIDTH;
        if (width < LEAST_WIDTH) {
            width = LEAST_WIDTH;
        }
    }
    *ret_terminal = (struct terminal){
        .is_terminal = is_terminal,
        .has_colour = wants_colour(is_terminal, choice),
        .is_ascii = !is_utf8_locale(),
        .width = width,
    };
}

const char *terminal_bold(const struct terminal *terminal)
{
    return terminal->has_colour ? "\033[1m" : "";
}

const char *terminal_dim(const struct terminal *terminal)
{
    return terminal->has_colour ? "\033[2m" : "";
}

const char *terminal_red(const struct terminal *terminal)
{
    return terminal->has_colour ? "\033[31m" : "";
}

const char *terminal_plain(const struct terminal *terminal)
{
    return terminal->has_colour ? "\033[0m" : "";
}
