/* SPDX-License-Identifier: MIT */
/*
 * --max-memory: sums stay, history goes. The oldest chunk of samples or slices
 * is dropped, whichever is older; answers about the whole run do not change,
 * answers about a range that begins before folded_until_ns say so.
 */
#include <stdlib.h>

#include "aggregate/aggregate_internal.h"

uint64_t aggregate_memory_bytes(const struct aggregate *aggregate)
{
    return chunked_memory_bytes(&aggregate->samples) + chunked_memory_bytes(&aggregate->slices) +
           chunked_memory_bytes(&aggregate->pairs) +
           aggregate->pair_counts_capacity * sizeof(*aggregate->pair_counts) +
           pending_samples_memory_bytes(&aggregate->pending) +
           hash_table_memory_bytes(&aggregate->pair_ids) +
           frame_table_memory_bytes(aggregate->frames) +
           code_epochs_memory_bytes(aggregate->code_epochs) +
           stack_table_memory_bytes(aggregate->stacks) +
           thread_table_memory_bytes(aggregate->threads) + aggregate->names.used_bytes +
           (aggregate->stack_cache ? STACK_CACHE_ENTRIES * sizeof(*aggregate->stack_cache) : 0);
}

/* The time of the last item in the oldest chunk, or UINT64_MAX where it may not be dropped. */
static uint64_t oldest_end_ns(const struct chunked *array, bool holds_samples)
{
    uint64_t last = array->first_item + CHUNKED_ITEMS - 1;
    if (array->n_items <= last + 1) {
        return UINT64_MAX;
    }
    return holds_samples ? ((const struct stored_sample *)chunked_get(array, last))->time_ns
                         : ((const struct stored_slice *)chunked_get(array, last))->end_ns;
}

void aggregate_fold(struct aggregate *aggregate)
{
    uint64_t max_bytes = aggregate->config.max_memory_bytes;
    if (max_bytes == 0) {
        return;
    }
    uint64_t memory_bytes = aggregate_memory_bytes(aggregate);
    while (memory_bytes > max_bytes) {
        uint64_t samples_ns = oldest_end_ns(&aggregate->samples, true);
        uint64_t slices_ns = oldest_end_ns(&aggregate->slices, false);
        struct chunked *older = samples_ns <= slices_ns ? &aggregate->samples : &aggregate->slices;
        uint64_t until_ns = samples_ns <= slices_ns ? samples_ns : slices_ns;
        struct dropped_chunk *dropped = malloc(sizeof(*dropped));
        void *chunk = until_ns == UINT64_MAX || !dropped ? NULL : chunked_drop_oldest(older);
        if (!chunk) {
            free(dropped);
            break; /* what is left cannot be folded */
        }
        *dropped = (struct dropped_chunk){
            .chunk = chunk,
            .number = aggregate->n_snapshots,
            .next = aggregate->dropped,
        };
        aggregate->dropped = dropped;
        memory_bytes -= CHUNKED_ITEMS * older->item_bytes;
        if (until_ns > aggregate->folded_until_ns) {
            aggregate->folded_until_ns = until_ns;
        }
    }
    if (aggregate->dropped) {
        aggregate_sweep(aggregate);
    }
}
