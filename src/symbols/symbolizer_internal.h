/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * symbolizer_internal - what the files of this room know of a symbol_source
 *
 * Owner:   the symbolizer; pointers stay until symbolizer_free().
 * Threads: any.
 */

#include <stdatomic.h>

#include "base/clock.h"
#include "symbols/kallsyms.h"
#include "symbols/symbolizer.h"

/* What was not found is looked for again when a later run wants it, but not before this time. */
#define SYMBOLIZER_SEARCH_AGAIN_NS (30 * NS_PER_S)

struct debug_lines_desk;
struct image_file;
struct image_symbols;
struct kept_symbols;

enum job { JOB_OPEN, JOB_LOAD, JOB_CLOSE, JOB_N };

struct symbol_source {
    struct symbolizer *symbolizer;
    struct kept_symbols *kept;   /* answers all; the rest but `image` is not used then */
    struct symbol_source *newer; /* in the symbolizer's list of all */
    struct image image;          /* strings are ours */
    atomic_bool is_wanted;
    _Atomic enum symbol_state state;
    /* Set before state says LOADED. A file has one table, the kernel one for each part. */
    struct image_symbols *_Atomic symbols[KALLSYMS_PART_N];
    char failure[200]; /* set before state says FAILED */
    /* The loader's alone: */
    struct image_file *file;
    /* Under the symbolizer's lock: */
    struct symbol_source *next[JOB_N];
    bool is_retired;
};

/* A source that is in no list; NULL when memory ran out. Destroying returns NULL. */
struct symbol_source *symbol_source_new(struct symbolizer *symbolizer, const struct image *image);
struct symbol_source *symbol_source_destroy(struct symbol_source *source);

/* NULL while nothing is loaded. Of the kernel, its main part. */
struct image_symbols *symbol_source_symbols(const struct symbol_source *source);

const struct image *symbol_source_image(const struct symbol_source *source);

/* Instead of SYMBOLIZER_SEARCH_AGAIN_NS. */
void symbolizer_search_again_after(struct symbolizer *symbolizer, uint64_t min_age_ns);

/* Where the DWARF of all images is read. */
struct debug_lines_desk *symbol_source_lines_desk(const struct symbol_source *source);
struct debug_lines_desk *symbolizer_lines_desk(const struct symbolizer *symbolizer);
