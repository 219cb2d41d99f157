/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * spsc_queue - pointers from one thread to one other, bounded, without a lock
 *
 * Owner:   spsc_queue_new()/_free(); what is in it when freed is the caller's.
 * Threads: one producer calls push, one consumer calls pop.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct spsc_queue;

/* capacity is rounded up to a power of two. 0 or -ENOMEM. */
int spsc_queue_new(size_t capacity, struct spsc_queue **ret_queue);
struct spsc_queue *spsc_queue_free(struct spsc_queue *queue);
DEFINE_FREEP(spsc_queue);

/* false when full. */
bool spsc_queue_push(struct spsc_queue *queue, void *item);

/* NULL when empty. */
void *spsc_queue_pop(struct spsc_queue *queue);
