/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * live_line - one line about a running recording, below the target's output
 *
 * The terminal belongs to the target. The line is written on the row below
 * the cursor and the cursor is put back, so that a prompt that waits for an
 * answer stays what it is; nothing is written while the terminal is in the
 * hands of another job or of a program that draws it itself.
 *
 * Owner:   none.
 * Threads: one at a time per terminal.
 * Tests:   live_line_test.c
 */

#include <stdbool.h>

#include "base/text.h"
#include "model/results/run.h"
#include "model/results/top.h"

/* "12.5 s · 11250 samples · 320 off-CPU intervals · 0 lost · main (bench) 43 %"; `top` may be NULL.
 */
void live_line_append(const struct run_info *run, const struct top_result *top, struct text *text);

/* Is `fd` a terminal that understands the line? */
bool live_line_can_draw(int fd);

/* Draws where it is our turn (see above); `line` is cut to the width. */
void live_line_draw(int fd, const char *line);
void live_line_erase(int fd);
