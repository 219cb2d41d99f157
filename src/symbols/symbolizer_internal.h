/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * symbolizer_internal - what the files of this room know of a symbol_source
 *
 * Owner:   the symbolizer; pointers stay until symbolizer_free().
 * Threads: any.
 */

#include "base/clock.h"
#include "symbols/symbolizer.h"

/* What was not found is looked for again when a later run wants it, but not before this time. */
#define SYMBOLIZER_SEARCH_AGAIN_NS (30 * NS_PER_S)

struct debug_lines_desk;
struct image_symbols;

/* NULL while nothing is loaded. Of the kernel, its main part. */
struct image_symbols *symbol_source_symbols(const struct symbol_source *source);

const struct image *symbol_source_image(const struct symbol_source *source);

/* Instead of SYMBOLIZER_SEARCH_AGAIN_NS. */
void symbolizer_search_again_after(struct symbolizer *symbolizer, uint64_t min_age_ns);

/* Where the DWARF of all images is read. */
struct debug_lines_desk *symbol_source_lines_desk(const struct symbol_source *source);
struct debug_lines_desk *symbolizer_lines_desk(const struct symbolizer *symbolizer);
