/* SPDX-License-Identifier: MIT */
/*
 * Blocks double in size up to a maximum, so that a small result costs one small
 * malloc() and a large one few. A block is zeroed once, by calloc(), which gets
 * it zeroed from the kernel for large blocks.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN_BYTES 16
#define BLOCK_MIN_BYTES ((size_t)4 << 10)
#define BLOCK_MAX_BYTES ((size_t)1 << 20)

struct arena_block {
    struct arena_block *older;
    size_t capacity_bytes;
    size_t used_bytes;
    alignas(ALIGN_BYTES) unsigned char data[];
};

void arena_init(struct arena *arena, size_t max_bytes)
{
    *arena = (struct arena){.newest = NULL, .used_bytes = 0, .max_bytes = max_bytes};
}

void arena_release(struct arena *arena)
{
    struct arena_block *block = arena->newest;
    while (block) {
        struct arena_block *older = block->older;
        free(block);
        block = older;
    }
    arena->newest = NULL;
    arena->used_bytes = 0;
}

static struct arena_block *add_block(struct arena *arena, size_t wanted_bytes)
{
    size_t capacity_bytes = BLOCK_MIN_BYTES;
    if (arena->newest) {
        capacity_bytes = arena->newest->capacity_bytes * 2;
    }
    if (capacity_bytes > BLOCK_MAX_BYTES) {
        capacity_bytes = BLOCK_MAX_BYTES;
    }
    if (capacity_bytes < wanted_bytes) {
        capacity_bytes = wanted_bytes;
    }
    if (capacity_bytes > SIZE_MAX - sizeof(struct arena_block)) {
        return NULL;
    }
    struct arena_block *block = calloc(1, sizeof(*block) + capacity_bytes);
    if (!block) {
        return NULL;
    }
    block->older = arena->newest;
    block->capacity_bytes = capacity_bytes;
    arena->newest = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t n_bytes)
{
    if (n_bytes > SIZE_MAX - ALIGN_BYTES) {
        return NULL;
    }
    size_t rounded_bytes = n_bytes == 0 ? ALIGN_BYTES : n_bytes;
    rounded_bytes = (rounded_bytes + ALIGN_BYTES - 1) & ~(size_t)(ALIGN_BYTES - 1);
    if (arena->max_bytes != 0 && (arena->used_bytes > arena->max_bytes ||
                                  rounded_bytes > arena->max_bytes - arena->used_bytes)) {
        return NULL;
    }
    struct arena_block *block = arena->newest;
    if (!block || block->capacity_bytes - block->used_bytes < rounded_bytes) {
        block = add_block(arena, rounded_bytes);
        if (!block) {
            return NULL;
        }
    }
    void *allocated = block->data + block->used_bytes;
    block->used_bytes += rounded_bytes;
    arena->used_bytes += rounded_bytes;
    return allocated;
}

void *arena_alloc_array(struct arena *arena, size_t count, size_t size)
{
    size_t n_bytes;
    if (__builtin_mul_overflow(count, size, &n_bytes)) {
        return NULL;
    }
    return arena_alloc(arena, n_bytes);
}

char *arena_strdup(struct arena *arena, const char *string)
{
    return string ? arena_strndup(arena, string, strlen(string)) : NULL;
}

char *arena_strndup(struct arena *arena, const char *string, size_t n_bytes)
{
    if (!string) {
        return NULL;
    }
    size_t length_bytes = strnlen(string, n_bytes);
    char *copy = arena_alloc(arena, length_bytes + 1);
    if (copy) {
        memcpy(copy, string, length_bytes);
    }
    return copy;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) {
        return NULL;
    }
    char *string = arena_alloc(arena, (size_t)length + 1);
    if (string) {
        va_start(arguments, format);
        (void)vsnprintf(string, (size_t)length + 1, format, arguments);
        va_end(arguments);
    }
    return string;
}
