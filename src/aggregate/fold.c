/* SPDX-License-Identifier: MIT */
/*
 * --max-memory and --ring: sums stay, history goes. The oldest chunk of samples,
 * slices, waits or spans is dropped, whichever is oldest; answers about the whole
 * run do not change, answers about a range that begins before folded_until_ns (of
 * spans: spans_folded_until_ns) say so.
 */
#include <stdlib.h>

#include "aggregate/aggregate_internal.h"

#define RING_LOOKS 16 /* for what is too old, while the ring passes once */

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
           name_table_memory_bytes(&aggregate->sites) + lanes_memory_bytes(&aggregate->lanes) +
           span_totals_memory_bytes(&aggregate->span_totals) +
           span_log_memory_bytes(&aggregate->span_log) +
           origin_links_memory_bytes(&aggregate->origin_links) +
           (aggregate->stack_cache ? STACK_CACHE_ENTRIES * sizeof(*aggregate->stack_cache) : 0);
}

/* The time of the last item in the oldest chunk, or UINT64_MAX where it may not be dropped. */
static uint64_t oldest_end_ns(struct aggregate *aggregate, const struct chunked *array)
{
    if (array == &aggregate->span_log.spans) {
        uint64_t n_pending = origin_links_n_pending(&aggregate->origin_links);
        return span_log_oldest_end_ns(&aggregate->span_log, array->n_items - n_pending);
    }
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
                                &aggregate->counters.readings, &aggregate->span_log.spans};
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

/* Takes the oldest chunk out; snapshots that see it keep it. False: it stays. */
static bool drop_oldest(struct aggregate *aggregate, struct chunked *array)
{
    struct dropped_chunk *dropped = malloc(sizeof(*dropped));
    void *chunk = dropped ? chunked_drop_oldest(array) : NULL;
    if (!chunk) {
        free(dropped);
        return false;
    }
    *dropped = (struct dropped_chunk){
        .chunk = chunk,
        .item_bytes = array->item_bytes,
        .number = aggregate->n_snapshots,
        .next = aggregate->dropped,
    };
    aggregate->dropped = dropped;
    return true;
}

/* What the longest spans tell beside stays when the spans around them go. */
static void keep_longest_details(struct aggregate *aggregate)
{
    const struct span_totals *totals = &aggregate->span_totals;
    struct span_log *log = &aggregate->span_log;
    for (size_t i = 0; i < totals->n_sums; i++) {
        for (uint32_t k = 0; k < totals->rows[i].n_longest; k++) {
            struct longest_span *longest = &totals->rows[i].longest[k];
            bool is_going = longest->index < log->spans.first_item &&
                            longest->span.details != STORED_SPAN_NO_DETAILS &&
                            !span_log_has_kept(longest->span.details);
            if (is_going) {
                longest->span.details =
                    span_log_keep_details(log, span_log_details(log, longest->span.details));
            }
        }
    }
}

/* Of the details those of spans that are gone. */
static void fold_details(struct aggregate *aggregate)
{
    static const enum details_store stores[] = {DETAILS_SMALL, DETAILS_LARGE};
    struct span_log *log = &aggregate->span_log;
    for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++) {
        struct chunked *details = &log->details[stores[i]];
        while (span_log_has_old_details(log, stores[i])) {
            keep_longest_details(aggregate);
            if (!drop_oldest(aggregate, details)) {
                break;
            }
        }
    }
}

/* Drops a chunk that reaches until until_ns; false where it cannot be dropped. */
static bool fold_one(struct aggregate *aggregate, struct chunked *oldest, uint64_t until_ns)
{
    if (!oldest || !drop_oldest(aggregate, oldest)) {
        return false;
    }
    uint64_t *folded_until_ns = oldest == &aggregate->span_log.spans
                                    ? &aggregate->span_log.folded_until_ns
                                    : &aggregate->folded_until_ns;
    *folded_until_ns = until_ns > *folded_until_ns ? until_ns : *folded_until_ns;
    return true;
}

static void fold_to_memory(struct aggregate *aggregate)
{
    uint64_t max_bytes = aggregate->config.max_memory_bytes;
    uint64_t memory_bytes = max_bytes > 0 ? aggregate_memory_bytes(aggregate) : 0;
    while (memory_bytes > max_bytes) {
        uint64_t until_ns;
        struct chunked *oldest = find_oldest(aggregate, &until_ns);
        if (!fold_one(aggregate, oldest, until_ns)) {
            break; /* what is left cannot be folded */
        }
        memory_bytes -= CHUNKED_ITEMS * oldest->item_bytes;
        if (oldest == &aggregate->span_log.spans) {
            fold_details(aggregate);
            memory_bytes = aggregate_memory_bytes(aggregate);
        }
    }
}

static void fold_to_ring(struct aggregate *aggregate)
{
    uint64_t ring_ns = aggregate->config.ring_ns, now_ns = aggregate->newest_ns;
    if (ring_ns == 0 || now_ns < ring_ns || now_ns < aggregate->ring_look_at_ns) {
        return;
    }
    aggregate->ring_look_at_ns = now_ns + ring_ns / RING_LOOKS;
    uint64_t until_ns;
    struct chunked *oldest = find_oldest(aggregate, &until_ns);
    while (oldest && until_ns < now_ns - ring_ns && fold_one(aggregate, oldest, until_ns)) {
        oldest = find_oldest(aggregate, &until_ns);
    }
}

/* Of the list of long waits what points to those that are gone. */
static void fold_long_waits(struct aggregate *aggregate)
{
    const struct chunked *waits = &aggregate->wait_log.waits;
    struct chunked *list = &aggregate->wait_log.long_waits;
    uint64_t last = list->first_item + CHUNKED_ITEMS - 1;
    while (list->n_items > last + 1 &&
           *(const uint64_t *)chunked_get(list, last) < waits->first_item &&
           drop_oldest(aggregate, list)) {
        last += CHUNKED_ITEMS;
    }
}

/* Where nothing else bounds them. */
static void fold_to_count(struct aggregate *aggregate)
{
    struct chunked *spans = &aggregate->span_log.spans;
    while (spans->n_items - spans->first_item > SPANS_STORED_MAX) {
        uint64_t until_ns = oldest_end_ns(aggregate, spans);
        if (until_ns == UINT64_MAX || !fold_one(aggregate, spans, until_ns)) {
            break;
        }
    }
}

void aggregate_fold(struct aggregate *aggregate)
{
    fold_to_memory(aggregate);
    fold_to_ring(aggregate);
    fold_to_count(aggregate);
    fold_details(aggregate);
    if (aggregate->dropped) {
        fold_long_waits(aggregate);
        aggregate_sweep(aggregate);
    }
}
