/* SPDX-License-Identifier: MIT */
/*
 * Each side keeps a stale copy of the other side's index and reads the real one
 * only when the copy says full or empty, so that the cache line of an index
 * moves between the CPUs once per batch and not once per item.
 */
#include "base/spsc_queue.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#define CACHE_LINE_BYTES 64

struct spsc_queue {
    void **items;
    size_t mask;

    /* Producer's line: the next free place, and how far the consumer was last seen. */
    alignas(CACHE_LINE_BYTES) atomic_size_t tail;
    size_t seen_head;

    /* Consumer's line: the next item, and how far the producer was last seen. */
    alignas(CACHE_LINE_BYTES) atomic_size_t head;
    size_t seen_tail;
};

int spsc_queue_new(size_t capacity, struct spsc_queue **ret_queue)
{
    size_t n_items = 1;
    while (n_items < capacity) {
        if (n_items > SIZE_MAX / 2 / sizeof(void *)) {
            return -ENOMEM;
        }
        n_items *= 2;
    }
    _cleanup_(spsc_queue_freep) struct spsc_queue *queue =
        aligned_alloc(CACHE_LINE_BYTES, sizeof(*queue));
    if (!queue) {
        return -ENOMEM;
    }
    queue->items = calloc(n_items, sizeof(*queue->items));
    queue->mask = n_items - 1;
    atomic_init(&queue->tail, 0);
    atomic_init(&queue->head, 0);
    queue->seen_head = 0;
    queue->seen_tail = 0;
    if (!queue->items) {
        return -ENOMEM;
    }
    *ret_queue = TAKE_PTR(queue);
    return 0;
}

struct spsc_queue *spsc_queue_free(struct spsc_queue *queue)
{
    if (queue) {
        free(queue->items);
        free(queue);
    }
    return NULL;
}

bool spsc_queue_push(struct spsc_queue *queue, void *item)
{
    assert(item);
    size_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    if (tail - queue->seen_head > queue->mask) {
        queue->seen_head = atomic_load_explicit(&queue->head, memory_order_acquire);
        if (tail - queue->seen_head > queue->mask) {
            return false;
        }
    }
    queue->items[tail & queue->mask] = item;
    atomic_store_explicit(&queue->tail, tail + 1, memory_order_release);
    return true;
}

void *spsc_queue_pop(struct spsc_queue *queue)
{
    size_t head = atomic_load_explicit(&queue->head, memory_order_relaxed);
    if (head == queue->seen_tail) {
        queue->seen_tail = atomic_load_explicit(&queue->tail, memory_order_acquire);
        if (head == queue->seen_tail) {
            return NULL;
        }
    }
    void *item = queue->items[head & queue->mask];
    atomic_store_explicit(&queue->head, head + 1, memory_order_release);
    return item;
}
