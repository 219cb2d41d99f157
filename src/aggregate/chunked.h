/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * chunked - an append-only array that never moves
 *
 * Readers on other threads index it freely up to a count that the writer has
 * handed to them; growing adds chunks and touches nothing that they can see.
 *
 * Owner:   the caller's memory; chunked_release() frees the chunks.
 * Threads: one writer; readers below a published count.
 * Limits:  max_items of chunked_init() that are there at once, then NULL. Numbers of
 *          items go on for ever: where the oldest are dropped the directory is a ring,
 *          and a reader must not hold on to what was dropped max_items ago.
 * Tests:   chunked_test.c
 */

#include <stddef.h>
#include <stdint.h>

#define CHUNKED_ITEMS_SHIFT 12u
#define CHUNKED_ITEMS (UINT64_C(1) << CHUNKED_ITEMS_SHIFT) /* per chunk */

struct chunked {
    uint8_t **chunks;    /* a ring */
    uint64_t chunk_mask; /* … of so many and one */
    uint64_t next_chunk; /* the number of the first that is not there yet */
    size_t item_bytes;
    uint64_t n_items, max_items;
    uint64_t first_item; /* items before it were dropped, in whole chunks */
};

/* 0 or -ENOMEM. The directory of max_items is reserved at once (and paged in as it is used). */
int chunked_init(struct chunked *array, size_t item_bytes, uint64_t max_items);
void chunked_release(struct chunked *array);

/* Of an array that is empty: its first item is this one, as if those before were dropped. */
void chunked_begin_at(struct chunked *array, uint64_t first_item);

/* A zeroed slot at the end, or NULL (full, or no memory). */
void *chunked_add(struct chunked *array);

/* Takes the oldest chunk out; NULL when only the newest is left. The caller gives it
 * to chunked_chunk_free() when no reader can see it. */
void *chunked_drop_oldest(struct chunked *array);
void chunked_chunk_free(void *chunk, size_t item_bytes);

static inline void *chunked_get(const struct chunked *array, uint64_t index)
{
    return array->chunks[(index >> CHUNKED_ITEMS_SHIFT) & array->chunk_mask] +
           (index & (CHUNKED_ITEMS - 1)) * array->item_bytes;
}

size_t chunked_memory_bytes(const struct chunked *array);
