/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * code_index - lines and inlined functions of one unit, ready for lookups
 *
 * Made in one go from everything that DWARF says of the unit's code; needs
 * the file no more. A lookup is two binary searches and a walk up the calls.
 *
 * Shape:   rows of 8 and 12 bytes, relative to the lowest address of the unit.
 * Owner:   code_index_build()/_free(); all texts are in its arena.
 * Threads: one builds; then any may read. `known` fields are the caller's,
 *          who sees to it that one thread at a time uses them.
 * Limits:  CODE_INDEX_MAX_TEXT_BYTES of names and paths; code more than 4 GiB
 *          behind the unit's first byte is left out.
 * Tests:   code_index_test.c; tests/fuzz/fuzz_dwarf_lines.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "dwarf/dwarf_file.h"

#define CODE_INDEX_MAX_TEXT_BYTES (256u * 1024 * 1024)
#define CODE_INDEX_NONE UINT32_MAX

struct code_line {
    uint32_t start_offset; /* from base_addr */
    uint32_t file, line;   /* file: CODE_INDEX_NONE where nothing is known */
};

struct code_inline_row {
    uint32_t start_offset, call;
};

struct code_call {
    uint32_t parent, function; /* parent: CODE_INDEX_NONE for the function proper */
    uint32_t call_file, call_line;
};

struct code_function {
    const char *name; /* NULL: it has none */
    bool is_mangled;
    uint32_t declared_at;
    const char *declared_in; /* may be NULL */
    const void *known;       /* the caller's */
};

struct code_file {
    const char *path;  /* NULL: not named by any row or call */
    const void *known; /* the caller's */
};

struct code_index {
    uint64_t base_addr;
    size_t n_lines;
    struct code_line *lines;
    size_t n_inline_rows;
    struct code_inline_row *inline_rows;
    size_t n_calls;
    struct code_call *calls;
    size_t n_functions;
    struct code_function *functions;
    size_t n_files;
    struct code_file *files; /* by DWARF's number */
    struct arena arena;
    size_t n_bytes; /* of memory, about */
};

/* 0, -ENOMEM, -ECANCELED (also past the file's deadline), or what reading gave. */
int code_index_build(struct dwarf_file *file, uint32_t unit, struct code_index **ret_index);
struct code_index *code_index_free(struct code_index *index);
DEFINE_FREEP(code_index);

/* The row that holds the address, or NULL. */
const struct code_line *code_index_find_line(const struct code_index *index, uint64_t image_addr);

/* The innermost call at the address, or CODE_INDEX_NONE. */
uint32_t code_index_find_call(const struct code_index *index, uint64_t image_addr);
