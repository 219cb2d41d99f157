/* SPDX-License-Identifier: MIT */
#include "aggregate/pending_waits.h"

#include <errno.h>
#include <stdlib.h>

#define CAPACITY_FIRST 256

void pending_waits_release(struct pending_waits *pending)
{
    free(pending->items);
    *pending = (struct pending_waits){0};
}

static struct pending_wait *item_at(const struct pending_waits *pending, uint64_t number)
{
    return &pending->items[number & (pending->capacity - 1)];
}

static int grow(struct pending_waits *pending)
{
    size_t capacity = pending->capacity ? 2 * pending->capacity : CAPACITY_FIRST;
    struct pending_wait *items =
        capacity <= PENDING_WAITS_MAX ? calloc(capacity, sizeof(*items)) : NULL;
    if (!items) {
        return -ENOSPC;
    }
    for (uint64_t i = pending->first; i < pending->end; i++) {
        items[i & (capacity - 1)] = *item_at(pending, i);
    }
    free(pending->items);
    pending->items = items;
    pending->capacity = capacity;
    return 0;
}

/* Puts a wait at a place; whoever may still move it knows where it is. */
static void put(const struct pending_waits *pending, struct thread_table *threads, uint64_t number,
                const struct pending_wait *wait)
{
    *item_at(pending, number) = *wait;
    if (!wait->is_settled) {
        thread_table_at(threads, wait->wait.thread)->ended.ticket = number;
    }
}

/* Moves the wait to where its end belongs: mostly it is there already. */
static void put_in_order(const struct pending_waits *pending, struct thread_table *threads,
                         uint64_t number, const struct pending_wait *wait)
{
    uint64_t end_ns = wait->wait.end_ns;
    while (number > pending->first && item_at(pending, number - 1)->wait.end_ns > end_ns) {
        put(pending, threads, number, item_at(pending, number - 1));
        number--;
    }
    while (number + 1 < pending->end && item_at(pending, number + 1)->wait.end_ns < end_ns) {
        put(pending, threads, number, item_at(pending, number + 1));
        number++;
    }
    put(pending, threads, number, wait);
}

int pending_waits_add(struct pending_waits *pending, struct thread_table *threads,
                      struct ended_wait *ended)
{
    if (pending_waits_count(pending) == pending->capacity) {
        int r = grow(pending);
        if (r != 0) {
            return r;
        }
    }
    const struct pending_wait wait = {.wait = ended->wait, .wait_sum = ended->wait_sum};
    put_in_order(pending, threads, pending->end++, &wait);
    return 0;
}

void pending_waits_move(struct pending_waits *pending, struct thread_table *threads,
                        const struct ended_wait *ended)
{
    const struct pending_wait wait = {.wait = ended->wait, .wait_sum = ended->wait_sum};
    put_in_order(pending, threads, ended->ticket, &wait);
}

void pending_waits_settle(struct pending_waits *pending, const struct ended_wait *ended)
{
    item_at(pending, ended->ticket)->is_settled = true;
}

bool pending_waits_take(struct pending_waits *pending, uint64_t now_ns, bool is_forced,
                        struct pending_wait *ret_wait)
{
    if (pending->first == pending->end) {
        return false;
    }
    const struct pending_wait *oldest = item_at(pending, pending->first);
    uint64_t end_ns = oldest->wait.end_ns;
    uint64_t stays_ns = oldest->is_settled ? PENDING_WAITS_SETTLED_NS : PENDING_WAITS_LONGEST_NS;
    if (!is_forced && (now_ns < end_ns || now_ns - end_ns < stays_ns)) {
        return false;
    }
    *ret_wait = *oldest;
    pending->first++;
    return true;
}

size_t pending_waits_memory_bytes(const struct pending_waits *pending)
{
    return pending->capacity * sizeof(*pending->items);
}
