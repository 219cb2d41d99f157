/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * inline_names - one symbol for each inlined function of an image, one text for each path
 *
 * Every unit names the functions that were inlined into it anew; here equal
 * ones become the same pointer, which stays when the unit's index goes. Equal
 * are functions with the same name for the linker; else with the same
 * qualified name that were declared at the same place.
 *
 * Owner:   inline_names_init()/_release(); hands out what lives until then.
 * Threads: one at a time.
 * Limits:  INLINE_NAMES_MAX_BYTES; past it there are no new names, and NULL.
 * Tests:   inline_names_test.c
 */

#include <stddef.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/hash_table.h"
#include "dwarf/code_index.h"
#include "symbols/symbolizer.h"

#define INLINE_NAMES_MAX_BYTES (256u * 1024 * 1024)

struct inlined_symbol {
    struct symbol symbol;
    const char *raw_name, *declared_in; /* declared_in: "" where unknown */
    uint32_t declared_at;
};

struct inline_names {
    const char *image_name; /* borrowed */
    enum frame_kind kind;
    struct arena arena;
    struct hash_table symbol_numbers, path_numbers;
    size_t n_symbols, symbols_capacity;
    struct inlined_symbol **symbols;
    size_t n_paths, paths_capacity;
    const char **paths;
};

void inline_names_init(struct inline_names *names, const char *image_name, enum frame_kind kind);
void inline_names_release(struct inline_names *names);
DEFINE_RELEASEP(inline_names);

/* NULL where the function has no name, or memory or the limit has run out. */
const struct symbol *inline_names_symbol(struct inline_names *names,
                                         const struct code_function *function);
const char *inline_names_path(struct inline_names *names, const char *path);
