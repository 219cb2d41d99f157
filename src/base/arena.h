/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * arena - memory that is freed all at once
 *
 * Results of queries, decoded requests and names of a run live in arenas:
 * nothing in them is freed alone, and nothing moves.
 *
 * Owner:   the arena owns what it hands out, until arena_release().
 * Threads: one.
 * Limits:  max_bytes (0: none); past it arena_alloc() returns NULL.
 */

#include <stddef.h>

#include "base/cleanup.h"

struct arena_block;

struct arena {
    struct arena_block *newest;
    size_t used_bytes;
    size_t max_bytes;
};

void arena_init(struct arena *arena, size_t max_bytes);
void arena_release(struct arena *arena);
DEFINE_RELEASEP(arena);

/* Zeroed, aligned to 16, or NULL. n_bytes may be 0 (a valid pointer comes back). */
void *arena_alloc(struct arena *arena, size_t n_bytes);

/* Zeroed array; NULL also where count * size overflows. */
void *arena_alloc_array(struct arena *arena, size_t count, size_t size);

/* Copy with a NUL added; NULL in gives NULL out. */
char *arena_strdup(struct arena *arena, const char *string);
char *arena_strndup(struct arena *arena, const char *string, size_t n_bytes);
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
