/* SPDX-License-Identifier: MIT */
#include "aggregate/chunked.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static size_t directory_bytes(const struct chunked *array)
{
    return (size_t)((array->max_items + CHUNKED_ITEMS - 1) >> CHUNKED_ITEMS_SHIFT) *
           sizeof(*array->chunks);
}

int chunked_init(struct chunked *array, size_t item_bytes, uint64_t max_items)
{
    *array = (struct chunked){.item_bytes = item_bytes, .max_items = max_items};
    /* Straight from the system: of a directory for the largest run a small one touches one page,
     * and what malloc() had used before would be cleared from end to end. */
    void *directory = mmap(NULL, directory_bytes(array), PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    array->chunks = directory == MAP_FAILED ? NULL : directory;
    return array->chunks ? 0 : -ENOMEM;
}

void chunked_release(struct chunked *array)
{
    uint64_t n_chunks = (array->n_items + CHUNKED_ITEMS - 1) >> CHUNKED_ITEMS_SHIFT;
    for (uint64_t i = array->first_item >> CHUNKED_ITEMS_SHIFT; array->chunks && i < n_chunks;
         i++) {
        free(array->chunks[i]);
    }
    if (array->chunks) {
        munmap(array->chunks, directory_bytes(array));
    }
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
