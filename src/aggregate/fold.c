/* SPDX-License-Identifier: MIT */
/*
 * --max-memory: sums stay, history goes. The oldest chunk of samples, slices or
 * waits is dropped, whichever is oldest; answers about the whole run do not change,
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
           pending_waits_memory_bytes(&aggregate->pending_waits) +
           wait_log_memory_bytes(&aggregate->wait_log) +
           wait_objects_memory_bytes(&aggregate->wait_objects) +
           wakers_memory_bytes(&aggregate->wakers) + counters_memory_bytes(&aggregate->counters) +
           name_table_memory_bytes(&aggregate->sites) +
           (aggregate->stack_cache ? STACK_CACHE_ENTRIES * sizeof(*aggregate->stack_cache) : 0);
}

/* The time of the last item in the oldest chunk, or UINT64_MAX where it may not be dropped. */
static uint64_t oldest_end_ns(const struct aggregate *aggregate, const struct chunked *array)
{
    uint64_t last = array->first_item + CHUNKED_ITEMS - 1;
    if (array->n_items <= last + 1) {
        return UINT64_MAX;
    }
    if (array == &aggregate->samples) {
        return ((const struct stored_sample *)chunked_get(array, last))->time_ns;
    }
    if (array == &aggregate->slices) {
        return ((const struct stored_slice *)chunked_get(array, last))->end_ns;
    }
    if (array == &aggregate->counters.readings) {
        return ((const struct stored_reading *)chunked_get(array, last))->time_ns;
    }
    /* Few waits are not in the order of their ends; the latest counts. */
    uint64_t end_ns = 0;
    for (uint64_t i = array->first_item; i <= last; i++) {
        const struct stored_wait *wait = chunked_get(array, i);
        end_ns = wait->end_ns > end_ns ? wait->end_ns : end_ns;
    }
    return end_ns;
}

/* The array whose oldest chunk is the oldest of all, and until when that chunk reaches. */
static struct chunked *find_oldest(struct aggregate *aggregate, uint64_t *ret_until_ns)
{
    struct chunked *arrays[] = {&aggregate->samples, &aggregate->slices, &aggregate->wait_log.waits,
                                &aggregate->counters.readings};
    struct chunked *oldest = NULL;
    *ret_until_ns = UINT64_MAX;
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        uint64_t end_ns = oldest_end_ns(aggregate, arrays[i]);
        if (end_ns < *ret_until_ns) {
            oldest = arrays[i];
            *ret_until_ns = end_ns;
        }
    }
    return oldest;
}

void aggregate_fold(struct aggregate *aggregate)
{
    uint64_t max_bytes = aggregate->config.max_memory_bytes;
    if (max_bytes == 0) {
        return;
    }
    uint64_t memory_bytes = aggregate_memory_bytes(aggregate);
    while (memory_bytes > max_bytes) {
        uint64_t until_ns;
        struct chunked *oldest = find_oldest(aggregate, &until_ns);
        struct dropped_chunk *dropped = malloc(sizeof(*dropped));
        void *chunk = !oldest || !dropped ? NULL : chunked_drop_oldest(oldest);
        if (!chunk) {
            free(dropped);
            break; /* what is left cannot be folded */
        }
        *dropped = (struct dropped_chunk){
            .chunk = chunk,
            .item_bytes = oldest->item_bytes,
            .number = aggregate->n_snapshots,
            .next = aggregate->dropped,
        };
        aggregate->dropped = dropped;
        memory_bytes -= CHUNKED_ITEMS * oldest->item_bytes;
        if (until_ns > aggregate->folded_until_ns) {
            aggregate->folded_until_ns = until_ns;
        }
    }
    if (aggregate->dropped) {
        aggregate_sweep(aggregate);
    }
}
