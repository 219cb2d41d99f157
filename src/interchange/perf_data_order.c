/* SPDX-License-Identifier: MIT */
#include "interchange/perf_data_order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SORT_FROM_PART 16u

struct perf_data_waiting {
    uint64_t time_ns;
    uint64_t at; /* in the bytes: among records of one time, the order of the file */
    uint32_t n_bytes;
    uint32_t event;
};

void perf_data_order_init(struct perf_data_order *order)
{
    *order = (struct perf_data_order){.max_bytes = PERF_DATA_ORDER_MAX_BYTES};
}

void perf_data_order_release(struct perf_data_order *order)
{
    free(order->entries);
    free(order->bytes);
    perf_data_order_init(order);
}

static int by_time(const void *one, const void *other)
{
    const struct perf_data_waiting *a = one, *b = other;
    if (a->time_ns != b->time_ns) {
        return a->time_ns < b->time_ns ? -1 : 1;
    }
    return a->at < b->at ? -1 : a->at > b->at;
}

static int by_place(const void *one, const void *other)
{
    const struct perf_data_waiting *a = one, *b = other;
    return a->at < b->at ? -1 : a->at > b->at;
}

static void sort(struct perf_data_order *order)
{
    if (order->n_entries > 1) {
        qsort(order->entries, order->n_entries, sizeof(*order->entries), by_time);
    }
}

/* Of those that are sorted, everything up to until_ns is ready. */
static void make_ready(struct perf_data_order *order, uint64_t until_ns)
{
    size_t n_ready = 0;
    while (n_ready < order->n_entries && order->entries[n_ready].time_ns <= until_ns) {
        n_ready++;
    }
    order->n_ready = n_ready;
    order->n_taken = 0;
}

/* Closes the gap that records leave which were taken. */
static void compact(struct perf_data_order *order)
{
    if (order->n_ready == 0) {
        return;
    }
    size_t n_left = order->n_entries - order->n_ready;
    memmove(order->entries, order->entries + order->n_ready, n_left * sizeof(*order->entries));
    order->n_entries = n_left;
    order->n_ready = order->n_taken = 0;
    /* In the order of the bytes, so that each moves to the left of where it was. */
    if (n_left > 1) {
        qsort(order->entries, n_left, sizeof(*order->entries), by_place);
    }
    uint64_t first_free = 0;
    for (size_t i = 0; i < n_left; i++) {
        struct perf_data_waiting *entry = &order->entries[i];
        memmove(order->bytes + first_free, order->bytes + entry->at, entry->n_bytes);
        entry->at = first_free;
        first_free += entry->n_bytes;
    }
    order->n_bytes = (size_t)first_free;
}

static int reserve(struct perf_data_order *order, size_t n_bytes)
{
    if (order->n_entries == order->entries_capacity) {
        size_t capacity = order->entries_capacity ? 2 * order->entries_capacity : 1024;
        void *grown = reallocarray(order->entries, capacity, sizeof(*order->entries));
        if (!grown) {
            return -ENOMEM;
        }
        order->entries = grown;
        order->entries_capacity = capacity;
    }
    if (n_bytes > order->bytes_capacity - order->n_bytes) {
        size_t capacity = 2 * order->bytes_capacity + (1u << 17);
        void *grown = realloc(order->bytes, capacity);
        if (!grown) {
            return -ENOMEM;
        }
        order->bytes = grown;
        order->bytes_capacity = capacity;
    }
    return 0;
}

int perf_data_order_add(struct perf_data_order *order, const struct perf_data_record *record,
                        uint64_t time_ns)
{
    compact(order);
    int r = reserve(order, record->n_bytes);
    if (r < 0) {
        return r;
    }
    memcpy(order->bytes + order->n_bytes, record->bytes, record->n_bytes);
    order->entries[order->n_entries++] = (struct perf_data_waiting){
        .time_ns = time_ns,
        .at = order->n_bytes,
        .n_bytes = (uint32_t)record->n_bytes,
        .event = record->event,
    };
    order->n_bytes += record->n_bytes;
    order->n_added++;
    order->newest_ns = time_ns > order->newest_ns ? time_ns : order->newest_ns;
    if (order->n_bytes + order->n_entries * sizeof(*order->entries) > order->max_bytes) {
        sort(order);
        make_ready(order, order->entries[order->n_entries / 2].time_ns);
    }
    return 0;
}

void perf_data_order_end_round(struct perf_data_order *order)
{
    compact(order);
    uint64_t until_ns = order->certain_ns;
    order->certain_ns = order->newest_ns;
    /* Often enough, and never for a few records among many. */
    if (until_ns > 0 && order->n_added >= order->n_entries / SORT_FROM_PART) {
        order->n_added = 0;
        sort(order);
        make_ready(order, until_ns);
    }
}

void perf_data_order_end(struct perf_data_order *order)
{
    compact(order);
    sort(order);
    make_ready(order, UINT64_MAX);
}

bool perf_data_order_take(struct perf_data_order *order, struct perf_data_record *ret_record,
                          uint64_t *ret_time_ns)
{
    if (order->n_taken == order->n_ready) {
        return false;
    }
    const struct perf_data_waiting *entry = &order->entries[order->n_taken++];
    const uint8_t *bytes = order->bytes + entry->at;
    uint32_t type;
    memcpy(&type, bytes, sizeof(type));
    *ret_record = (struct perf_data_record){
        .bytes = bytes, .n_bytes = entry->n_bytes, .type = type, .event = entry->event};
    *ret_time_ns = entry->time_ns;
    return true;
}
