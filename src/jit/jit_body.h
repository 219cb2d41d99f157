/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * jit_body - what is known of one piece of made code besides its name
 *
 * Owner:   the arena that it is made in, but for its table: jit_bodies_release().
 * Threads: made by one; then any may read.
 * Limits:  JIT_BODY_MAX_LINES of one function; a table covers the function and no
 *          more, and of code without bytes JIT_BODY_MAX_BARE_BYTES.
 * Tests:   jit_body_test.c
 */

#include "base/arena.h"
#include "jit/jit_code.h"
#include "unwind/cfi_table.h"

#define JIT_BODY_MAX_LINES (1u << 20)
#define JIT_BODY_MAX_BARE_BYTES (UINT64_C(64) << 10)

struct jit_body_line {
    uint32_t code_offset; /* from the start of the function */
    uint32_t line;
    const char *file;
};

struct jit_body {
    struct jit_body *next;
    uint64_t start_ip; /* where it was made: what its table speaks of */
    uint64_t n_bytes;
    _Atomic int fd; /* -1: no bytes, or no longer */
    uint64_t code_offset;
    struct cfi_table *table; /* NULL: none */
    size_t n_lines;
    struct jit_body_line *lines; /* by code_offset */
};

/* NULL when memory ran out. Unwind and line records that make no sense are left out. */
struct jit_body *jit_body_new(struct arena *arena, const struct jit_load *load);
void jit_bodies_release(struct jit_body *first);

/* Is it left by its frame pointer, once it has set that up? What has no table is held to be so. */
bool jit_body_keeps_frame_pointer(const struct jit_body *body);

/*
 * A name as people see it: without control characters and what cannot be
 * printed, cut at the end, never empty. V8's function without a name gets
 * "(anonymous)". Returns its length; ret_text ends with a NUL.
 */
size_t jit_name_clean(const char *name, size_t n_name_bytes, char *ret_text, size_t n_bytes);
