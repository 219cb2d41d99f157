/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * jit_kept - what was known of the code that programs made, without the programs
 *
 * An archive keeps the answers of jit_code_find() for the frames of its run,
 * not what they were found by: which code stood at an address when depends on
 * all that stood there, and most of that no frame is in.
 *
 * Shape:   symbols, bodies and functions by number; an answer says which
 *          function stood at an address of a process within a time.
 * Owner:   jit_kept_new()/_free(); jit_code_set_kept() takes it. Symbols, texts
 *          and code stay until then.
 * Threads: one fills; after jit_kept_finish() any may ask.
 * Limits:  JIT_KEPT_MAX symbols, bodies, functions, answers and lines each;
 *          JIT_CODE_MAX_BYTES of texts.
 * Tests:   jit_kept_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "jit/jit_code.h"

#define JIT_KEPT_MAX (1u << 22)
#define JIT_KEPT_NONE UINT32_MAX

struct jit_kept;

int jit_kept_new(struct jit_kept **ret_kept);
struct jit_kept *jit_kept_free(struct jit_kept *kept);
DEFINE_FREEP(jit_kept);

/* All: 0, -ENOMEM, -ENOSPC past a limit, or -EINVAL for what cannot be. */

/* A copy of the symbol with its texts. Its name NULL: it is lost, and nothing is found there. */
int jit_kept_add_symbol(struct jit_kept *kept, const struct symbol *symbol, uint32_t *ret_symbol);

/* One piece of code, which may have stood at several places. Its bytes are copied; 0: there are
 * none.
 */
int jit_kept_add_body(struct jit_kept *kept, const void *code, size_t n_bytes, uint32_t *ret_body);

/* In the order of their offsets, of the body that was added last. */
int jit_kept_add_line(struct jit_kept *kept, uint32_t code_offset, const char *file, uint32_t line);

struct jit_kept_function {
    uint32_t symbol; /* JIT_KEPT_NONE: it is lost */
    uint32_t body;   /* JIT_KEPT_NONE: a name only */
    uint64_t start_ip, end_ip, from_ns, to_ns;
};
int jit_kept_add_function(struct jit_kept *kept, const struct jit_kept_function *function,
                          uint32_t *ret_function);

/* jit_code_find() with these found that. */
struct jit_kept_answer {
    int64_t pid;
    uint64_t ip, from_ns, to_ns;
    uint32_t function;
};
int jit_kept_add_answer(struct jit_kept *kept, const struct jit_kept_answer *answer);

/* What jit_code_get_stats() said. */
void jit_kept_set_stats(struct jit_kept *kept, const struct jit_code_stats *stats);

int jit_kept_finish(struct jit_kept *kept);

/* As jit_code_find(); of another time the answer that comes nearest. */
bool jit_kept_find(const struct jit_kept *kept, int64_t pid, uint64_t ip, uint64_t from_ns,
                   uint64_t to_ns, struct jit_place *ret_place);
const struct jit_code_stats *jit_kept_stats(const struct jit_kept *kept);

/* The lines of a place, as jit_code_line() has them: the one with that number, false past the last.
 */
bool jit_kept_line_of(const struct jit_place *place, size_t number, uint32_t *ret_code_offset,
                      const char **ret_file, uint32_t *ret_line);
