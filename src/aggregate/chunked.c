/* SPDX-License-Identifier: MIT */
#include "aggregate/chunked.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int chunked_init(struct chunked *array, size_t item_bytes, uint64_t max_items)
{
    size_t n_chunks = (size_t)((max_items + CHUNKED_ITEMS - 1) >> CHUNKED_ITEMS_SHIFT);
    *array = (struct chunked){.item_bytes = item_bytes, .max_items = max_items};
    array->chunks = calloc(n_chunks, sizeof(*array->chunks));
    return array->chunks ? 0 : -ENOMEM;
}

void chunked_release(struct chunked *array)
{
    uint64_t n_chunks = (array->n_items + CHUNKED_ITEMS - 1) >> CHUNKED_ITEMS_SHIFT;
    for (uint64_t i = array->first_item >> CHUNKED_ITEMS_SHIFT; array->chunks && i < n_chunks;
         i++) {
        free(array->chunks[i]);
    }
    free(array->chunks);
    *array = (struct chunked){0};
}

void *chunked_add(struct chunked *array)
{
    if (array->n_items == array->max_items) {
        return NULL;
    }
    uint64_t chunk = array->n_items >> CHUNKED_ITEMS_SHIFT;
    if (!array->chunks[chunk]) {
        array->chunks[chunk] = calloc(CHUNKED_ITEMS, array->item_bytes);
        if (!array->chunks[chunk]) {
            return NULL;
        }
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
    void *chunk = array->chunks[oldest];
    array->first_item = (oldest + 1) << CHUNKED_ITEMS_SHIFT;
    return chunk;
}

size_t chunked_memory_bytes(const struct chunked *array)
{
    uint64_t n_chunks = ((array->n_items + CHUNKED_ITEMS - 1) >> CHUNKED_ITEMS_SHIFT) -
                        (array->first_item >> CHUNKED_ITEMS_SHIFT);
    return (size_t)n_chunks * CHUNKED_ITEMS * array->item_bytes;
}
