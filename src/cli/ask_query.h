/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * ask_query - a question whose answer is a page of text, or JSON
 *
 * Shape:   ask, render, print: what every command about a run does.
 * Owner:   results lie in the arena.
 * Threads: one.
 * Tests:   ask_query_test.c
 */

#include "cli/ask.h"
#include "cli/terminal.h"

/* Appends the text of question->result. */
typedef void (*ask_query_render_cb)(const void *result, const struct terminal *terminal,
                                    struct text *text);

struct query_page {
    struct question question; /* result_type: of the result, with wants_json too */
    ask_query_render_cb render;
    const char *const *choice; /* member of the result, said on stderr first; NULL: it has none */
    const char *const *hint;   /* member of the result, said on stderr last; NULL: it has none */
};

/* Returns EXIT_CODE_DONE, or EXIT_CODE_FAILED after saying why. */
int ask_query(const struct query_page *page, struct arena *arena);
