/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * line_excerpt - all that debug information says of a range of code, to be kept
 *
 * symbol_source_lines() and symbol_source_find_chain() answer for people; this
 * is what they answer from, so that a copy of it gives the same answers where
 * there is no debug information.
 *
 * Shape:   lines by address, each reaching to the next; the calls that were
 *          inlined there by number, a parent before its children.
 * Owner:   arrays lie in the caller's arena; texts and symbols as long as the
 *          source's.
 * Threads: any.
 * Limits:  LINE_EXCERPT_MAX lines; what follows them is left out, and calls
 *          nested deeper than LINE_EXCERPT_MAX_DEPTH.
 * Tests:   symbol_chain_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "symbols/symbolizer.h"

#define LINE_EXCERPT_MAX (1u << 20)
#define LINE_EXCERPT_MAX_DEPTH 512u
#define LINE_EXCERPT_NONE UINT32_MAX

struct excerpt_call {
    uint32_t parent;               /* LINE_EXCERPT_NONE: the function that holds the code */
    uint32_t call_line;            /* where the one around it calls */
    const struct symbol *function; /* NULL: it has no name */
    const char *call_file;         /* NULL: unknown */
};

struct excerpt_line {
    uint64_t start_addr; /* image_addr */
    const char *file;    /* NULL: no line is known from here on */
    uint32_t line;
    uint32_t call; /* the innermost one; LINE_EXCERPT_NONE: nothing was inlined */
};

struct line_excerpt {
    size_t n_lines;
    struct excerpt_line *lines;
    size_t n_calls;
    struct excerpt_call *calls;
};

/*
 * What is said of [start_addr, end_addr), as far as it is loaded within
 * timeout_ms; nothing of a source whose symbols are kept already. 0 or -ENOMEM.
 */
int symbol_source_excerpt(struct symbol_source *source, uint64_t start_addr, uint64_t end_addr,
                          int timeout_ms, struct arena *arena, struct line_excerpt *ret_excerpt);
