/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * kept_symbols - the symbols of an image that came with a run, instead of a file
 *
 * An archive, or a file of another tool, brings the names of the places that
 * occur in it. They are answered from here, through symbolizer_announce_kept(),
 * and nothing is looked for on this machine: what lies there under the same
 * path may be another build.
 *
 * Shape:   functions by number; an address belongs to the innermost function
 *          whose range holds it, unless a place was told for it. Lines and
 *          inlined functions as debug information has them: places by address,
 *          each reaching to the next, and the calls that were inlined there.
 *          All addresses are link-time addresses of the image (image_addr); of
 *          the kernel, run-time addresses. Where the names have no addresses,
 *          any that are not used twice will do.
 * Owner:   counted: kept_symbols_ref(), kept_symbols_unref(). It owns copies
 *          of all texts; symbols and texts live as long.
 * Threads: one fills; after kept_symbols_finish() any may ask. Before it
 *          nothing is found, and nothing is settled.
 * Limits:  KEPT_SYMBOLS_MAX functions, places, lines, calls and files each.
 * Tests:   kept_symbols_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "images/elf_file.h"
#include "symbols/source_lines.h"
#include "symbols/symbolizer.h"

#define KEPT_SYMBOLS_MAX (1u << 22)
#define KEPT_NONE UINT32_MAX /* no function, no file, no call */

struct kept_symbols;

/* 0 and one reference, or -ENOMEM. */
int kept_symbols_new(struct kept_symbols **ret_kept);
struct kept_symbols *kept_symbols_ref(struct kept_symbols *kept);
struct kept_symbols *kept_symbols_unref(struct kept_symbols *kept); /* NULL in, NULL out */

static inline void kept_symbols_unrefp(struct kept_symbols **kept)
{
    *kept = kept_symbols_unref(*kept);
}

/* Filling: 0, -ENOMEM, -ENOSPC past the limit, or -EINVAL for a number that was not given out. ----
 */

/*
 * A new function, whose symbol is one pointer: who has equal functions adds
 * them once. `symbol` is copied with its texts. An inlined one is found in
 * chains only, never by its address. One whose name is lost (NULL) keeps its
 * number and its range, and nothing is found there.
 */
int kept_symbols_add_function(struct kept_symbols *kept, const struct symbol *symbol,
                              bool is_inlined, uint32_t *ret_function);

/* At just this address stands this function (KEPT_NONE: none), whatever the ranges say. */
int kept_symbols_add_place(struct kept_symbols *kept, uint64_t image_addr, uint32_t function);

/* A source file by the path that debug information has; the same path is the same number. */
int kept_symbols_add_file(struct kept_symbols *kept, const char *path, uint32_t *ret_file);

/*
 * One function inlined into another: `parent` is the call around it (KEPT_NONE:
 * the function that holds the code), `function` an inlined one (KEPT_NONE: it
 * has no name and is left out).
 */
struct kept_call {
    uint32_t parent, function;
    uint32_t call_file, call_line;
};
int kept_symbols_add_call(struct kept_symbols *kept, const struct kept_call *call,
                          uint32_t *ret_call);

/* From start_addr on, up to the next one. Of several at one address one that knows something
 * stands. */
struct kept_line {
    uint64_t start_addr;
    uint32_t file, line; /* file KEPT_NONE: nothing is known */
    uint32_t call;       /* the innermost one; KEPT_NONE: nothing was inlined */
};
int kept_symbols_add_line(struct kept_symbols *kept, const struct kept_line *line);

/* What the image's symbols were where they were read; texts are copied. */
int kept_symbols_describe_as(struct kept_symbols *kept, const struct symbol_source_info *info);

/* How offsets in the file become addresses; without it they are addresses already. */
void kept_symbols_set_layout(struct kept_symbols *kept, const struct elf_layout *layout);

/*
 * Nothing is added afterwards, unless nobody else asks yet: then it has to be
 * finished again. 0, or -ENOMEM: then nothing is ever found.
 */
int kept_symbols_finish(struct kept_symbols *kept);

/* Asking --------------------------------------------------------------------------------------- */

bool kept_symbols_is_finished(const struct kept_symbols *kept);

/* As symbol_source_find(). */
const struct symbol *kept_symbols_find(const struct kept_symbols *kept, uint64_t offset,
                                       uint64_t *ret_image_addr);

/* By address; KEPT_NONE: none. */
uint32_t kept_symbols_find_function(const struct kept_symbols *kept, uint64_t image_addr);
/* NULL: none of that number, or its name is lost. */
const struct symbol *kept_symbols_function(const struct kept_symbols *kept, uint32_t function);

/* What stands at an address, as symbol_source_find_chain(); `outermost` is the last entry. */
size_t kept_symbols_chain(const struct kept_symbols *kept, uint64_t image_addr,
                          const struct symbol *outermost, struct symbol_chain_entry *ret_chain,
                          size_t max_entries);

/* As symbol_source_lines(). */
int kept_symbols_lines(const struct kept_symbols *kept, uint64_t start_addr, uint64_t end_addr,
                       struct arena *arena, struct source_lines *ret_lines);

void kept_symbols_describe(const struct kept_symbols *kept, struct symbol_source_info *ret_info);

/* All that was added, borrowed, for those who write it down. */
struct kept_contents {
    const struct elf_layout *layout;
    size_t n_functions;
    const struct symbol *const *functions;
    const bool *is_inlined; /* by function */
    size_t n_places;
    const struct kept_place {
        uint64_t image_addr;
        uint32_t function;
    } * places;
    size_t n_files;
    const char *const *files;
    size_t n_calls;
    const struct kept_call *calls;
    size_t n_lines;
    const struct kept_line *lines;
};
struct kept_contents kept_symbols_contents(const struct kept_symbols *kept);
