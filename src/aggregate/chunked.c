/* SPDX-License-Identifier: MIT */
#include "aggregate/chunked.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* No array gets near what does not fit into its numbers any more. */
#define FIRST_ITEM_MAX (UINT64_C(1) << 60)

static size_t directory_bytes(const struct chunked *array)
{
    return (size_t)(array->chunk_mask + 1) * sizeof(*array->chunks);
}

/* Zeroed, and straight from the system: what nothing is written to takes no memory. malloc() would
 * hand out what others had used, and that is cleared from end to end. NULL: no memory. */
static void *take_pages(size_t n_bytes)
{
    void *pages = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

void chunked_chunk_free(void *chunk, size_t item_bytes)
{
    if (chunk) {
        munmap(chunk, CHUNKED_ITEMS * item_bytes);
    }
}

int chunked_init(struct chunked *array, size_t item_bytes, uint64_t max_items)
{
    *array = (struct chunked){.item_bytes = item_bytes, .max_items = max_items};
    while ((array->chunk_mask + 1) << CHUNKED_ITEMS_SHIFT < max_items) {
        array->chunk_mask = 2 * array->chunk_mask + 1;
    }
    array->chunks = take_pages(directory_bytes(array));
    return array->chunks ? 0 : -ENOMEM;
}

void chunked_release(struct chunked *array)
{
    uint64_t n_chunks = (array->n_items + CHUNKED_ITEMS - 1) >> CHUNKED_ITEMS_SHIFT;
    for (uint64_t i = array->first_item >> CHUNKED_ITEMS_SHIFT; array->chunks && i < n_chunks;
         i++) {
        chunked_chunk_free(array->chunks[i & array->chunk_mask], array->item_bytes);
    }
    if (array->chunks) {
        munmap(array->chunks, directory_bytes(array));
    }
    *array = (struct chunked){0};
}

void chunked_begin_at(struct chunked *array, uint64_t first_item)
{
    first_item = first_item < FIRST_ITEM_MAX ? first_item : FIRST_ITEM_MAX;
    array->first_item = array->n_items = first_item;
    array->next_chunk = first_item >> CHUNKED_ITEMS_SHIFT;
}

void *chunked_add(struct chunked *array)
{
    uint64_t chunk = array->n_items >> CHUNKED_ITEMS_SHIFT;
    uint64_t oldest = array->first_item >> CHUNKED_ITEMS_SHIFT;
    if (array->n_items - array->first_item >= array->max_items ||
        chunk - oldest > array->chunk_mask) {
        return NULL;
    }
    if (chunk == array->next_chunk) {
        void *pages = take_pages(CHUNKED_ITEMS * array->item_bytes);
        if (!pages) {
            return NULL;
        }
        array->chunks[chunk & array->chunk_mask] = pages;
        array->next_chunk++;
    }
    return chunked_get(array, array->n_items++);
}

void *chunked_drop_oldest(struct chunked *array)
{
    uint64_t oldest = array->first_item >> CHUNKED_ITEMS_SHIFT;
    if (array->n_items <= (oldest + 1) << CHUNKED_ITEMS_SHIFT) {
        return NULL;
    }
    /* The directory keeps its entry: readers with an older first_item may still follow it. */
    void *chunk = array->chunks[oldest & array->chunk_mask];
    array->first_item = (oldest + 1) << CHUNKED_ITEMS_SHIFT;
    return chunk;
}

size_t chunked_memory_bytes(const struct chunked *array)
{
    uint64_t n_chunks = ((array->n_items + CHUNKED_ITEMS - 1) >> CHUNKED_ITEMS_SHIFT) -
                        (array->first_item >> CHUNKED_ITEMS_SHIFT);
    return (size_t)n_chunks * CHUNKED_ITEMS * array->item_bytes;
}
