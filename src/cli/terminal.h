/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * terminal - what the far end of a descriptor can show
 *
 * Owner:   plain data.
 * Threads: any.
 * Tests:   terminal_test.c
 */

#include <stdbool.h>
#include <stddef.h>

enum colour_choice { COLOUR_AUTO, COLOUR_ALWAYS, COLOUR_NEVER };

struct terminal {
    bool is_terminal;
    bool has_colour;
    bool is_ascii; /* the locale is none of UTF-8 */
    size_t width;  /* columns; SIZE_MAX where nothing limits a line */
};

/* NO_COLOR and TERM=dumb count with COLOUR_AUTO only. */
void terminal_probe(int fd, enum colour_choice choice, struct terminal *ret_terminal);

/* Escape sequences, or "" where there is no colour. */
const char *terminal_bold(const struct terminal *terminal);
const char *terminal_dim(const struct terminal *terminal);
const char *terminal_red(const struct terminal *terminal);
const char *terminal_plain(const struct terminal *terminal);
