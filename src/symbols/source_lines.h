/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * source_lines - the source lines and inline chains of a range of code
 *
 * For views of instructions: where symbol_source_find_chain() answers for one
 * place and never waits, this one answers for a whole function and may wait,
 * not longer than it is told to, until its compilation unit has been read.
 *
 * Shape:   rows by address, without gaps between them; one row reaches to the
 *          next, the last one to the end of the range. File and line are of
 *          the innermost function, as in the first entry of a chain.
 * Owner:   rows live in the caller's arena; file names as long as the
 *          symbolizer.
 * Threads: any.
 * Limits:  SOURCE_LINES_MAX rows; what follows them is not answered.
 * Tests:   symbol_chain_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "symbols/symbolizer.h"

#define SOURCE_LINES_MAX (1u << 20)

enum source_lines_state {
    SOURCE_LINES_NONE,    /* the image has no debug information for this range */
    SOURCE_LINES_LOADING, /* ask again; rows are what is known so far */
    SOURCE_LINES_LOADED,
};

struct source_line_row {
    uint64_t start_addr; /* image_addr: link-time address */
    const char *file;    /* absolute where DWARF says so (joined with comp_dir); NULL: unknown */
    uint32_t line;       /* 0: unknown */
};

struct source_lines {
    enum source_lines_state state;
    size_t n_rows;
    struct source_line_row *rows;
};

/*
 * The rows of [start_addr, end_addr). Waits up to timeout_ms (0: not at all)
 * for what is not loaded yet. 0 or -ENOMEM.
 */
int symbol_source_lines(struct symbol_source *source, uint64_t start_addr, uint64_t end_addr,
                        int timeout_ms, struct arena *arena, struct source_lines *ret_lines);

/*
 * The chain of functions inlined at one link-time address, innermost first, as
 * symbol_source_find_chain() but without waiting for anything and without the
 * need for an offset: 0 where no debug information of the address is loaded. The last entry is the
 * function that stands there; its symbol is `outermost`.
 */
size_t symbol_source_chain_at(struct symbol_source *source, uint64_t image_addr,
                              const struct symbol *outermost, struct symbol_chain_entry *ret_chain,
                              size_t max_entries);
