/* SPDX-License-Identifier: MIT */
#include "aggregate/wakers.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define WAKER_STACKS_PER_SET 4u
#define RECENT_WAKER_SETS (RECENT_WAKER_STACKS / WAKER_STACKS_PER_SET)

/* The name changes while readers look. */
struct known_outsider {
    int64_t tid;
    _Atomic(const char *) name;
};

int wakers_init(struct wakers *wakers)
{
    *wakers = (struct wakers){0};
    hash_table_init(&wakers->outsider_ids);
    hash_table_init(&wakers->sum_ids);
    int r = name_table_init(&wakers->names);
    r = r ? r : chunked_init(&wakers->outsiders, sizeof(struct known_outsider), OUTSIDERS_MAX);
    if (r != 0) {
        return r;
    }
    wakers->recent = calloc(RECENT_WAKER_STACKS, sizeof(*wakers->recent));
    return wakers->recent ? 0 : -ENOMEM;
}

void wakers_end(struct wakers *wakers)
{
    free(wakers->recent);
    wakers->recent = NULL;
}

void wakers_release(struct wakers *wakers)
{
    wakers_end(wakers);
    chunked_release(&wakers->outsiders);
    hash_table_release(&wakers->outsider_ids);
    hash_table_release(&wakers->sum_ids);
    name_table_release(&wakers->names);
    free(wakers->sums);
    wakers->sums = NULL;
}

waker_id wakers_outsider(struct wakers *wakers, int64_t tid)
{
    uint32_t number = hash_table_find(&wakers->outsider_ids, (uint64_t)tid);
    if (number == HASH_TABLE_NONE) {
        number = (uint32_t)wakers->outsiders.n_items;
        struct known_outsider *slot = chunked_add(&wakers->outsiders);
        if (!slot) {
            wakers->n_turned_away++;
            return WAKER_ID_UNKNOWN;
        }
        slot->tid = tid;
        atomic_init(&slot->name, "");
        if (hash_table_add(&wakers->outsider_ids, (uint64_t)tid, number) != 0) {
            wakers->n_turned_away++;
            return WAKER_ID_UNKNOWN;
        }
    }
    return WAKER_ID_OUTSIDER | number;
}

void wakers_name_outsider(struct wakers *wakers, int64_t tid, const char *name)
{
    waker_id waker = wakers_outsider(wakers, tid);
    uint32_t number;
    if (waker == WAKER_ID_UNKNOWN || name_table_intern(&wakers->names, name, &number) != 0) {
        return;
    }
    struct known_outsider *outsider = chunked_get(&wakers->outsiders, waker & ~WAKER_ID_OUTSIDER);
    atomic_store_explicit(&outsider->name, name_table_get(&wakers->names, number),
                          memory_order_release);
}

struct outsider wakers_get_outsider(const struct wakers *wakers, waker_id waker)
{
    struct known_outsider *outsider = chunked_get(&wakers->outsiders, waker & ~WAKER_ID_OUTSIDER);
    return (struct outsider){
        .tid = outsider->tid,
        .name = atomic_load_explicit(&outsider->name, memory_order_acquire),
    };
}

static struct waker_stack *set_of(const struct wakers *wakers, thread_id thread, uint32_t serial)
{
    uint64_t hash = hash_u64((uint64_t)thread << 32 | serial);
    return &wakers->recent[hash % RECENT_WAKER_SETS * WAKER_STACKS_PER_SET];
}

static bool is_it(const struct waker_stack *known, thread_id thread, uint32_t serial)
{
    return known->thread == thread && known->serial == serial;
}

/* The first of its set, and the last one is forgotten. */
void wakers_remember(struct wakers *wakers, thread_id thread, uint32_t serial, stack_id stack)
{
    struct waker_stack *set = set_of(wakers, thread, serial);
    size_t place = 0;
    while (place + 1 < WAKER_STACKS_PER_SET && !is_it(&set[place], thread, serial)) {
        place++;
    }
    memmove(&set[1], &set[0], place * sizeof(*set));
    set[0] = (struct waker_stack){.thread = thread, .serial = serial, .stack = stack};
}

stack_id wakers_find_stack(const struct wakers *wakers, thread_id thread, uint32_t serial)
{
    const struct waker_stack *set = set_of(wakers, thread, serial);
    for (size_t i = 0; serial != 0 && i < WAKER_STACKS_PER_SET; i++) {
        if (is_it(&set[i], thread, serial)) {
            return set[i].stack;
        }
    }
    return STACK_ID_EMPTY;
}

static bool is_same_row(uint32_t number, const void *wanted, const void *userdata)
{
    const struct wake_sums *row = wanted;
    const struct wake_sums *known = &((const struct wakers *)userdata)->sums[number];
    return known->waker == row->waker && known->wakee == row->wakee &&
           known->waker_stack == row->waker_stack;
}

uint32_t wakers_find_sum(struct wakers *wakers, waker_id waker, thread_id wakee,
                         stack_id waker_stack)
{
    const struct wake_sums row = {.waker = waker, .wakee = wakee, .waker_stack = waker_stack};
    uint64_t key = hash_u64(waker_stack ^ hash_u64((uint64_t)waker << 32 | wakee));
    uint32_t known = hash_table_find_equal(&wakers->sum_ids, key, is_same_row, &row, wakers);
    if (known != HASH_TABLE_NONE) {
        return known;
    }
    if (wakers->n_sums >= WAKE_SUMS_MAX) {
        return WAKE_SUM_NONE;
    }
    if (wakers->n_sums == wakers->sums_capacity) {
        size_t capacity = wakers->sums_capacity ? 2 * wakers->sums_capacity : 256;
        struct wake_sums *sums = reallocarray(wakers->sums, capacity, sizeof(*sums));
        if (!sums) {
            return WAKE_SUM_NONE;
        }
        wakers->sums = sums;
        wakers->sums_capacity = capacity;
    }
    uint32_t number = (uint32_t)wakers->n_sums;
    if (hash_table_add(&wakers->sum_ids, key, number) != 0) {
        return WAKE_SUM_NONE;
    }
    wakers->sums[wakers->n_sums++] = row;
    return number;
}

size_t wakers_memory_bytes(const struct wakers *wakers)
{
    return chunked_memory_bytes(&wakers->outsiders) +
           hash_table_memory_bytes(&wakers->outsider_ids) +
           hash_table_memory_bytes(&wakers->sum_ids) + name_table_memory_bytes(&wakers->names) +
           (wakers->recent ? RECENT_WAKER_STACKS * sizeof(*wakers->recent) : 0) +
           wakers->sums_capacity * sizeof(*wakers->sums);
}
