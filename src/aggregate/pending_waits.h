/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * pending_waits - waits that have ended, but whose end may still move
 *
 * The end of a wait is the start of a slice, which is set right when the slice
 * ends (thread_table.h), mostly by microseconds. Waits are stored in the order
 * of their ends, so they stay here, in that order, for a while: until the
 * slice has ended and nobody else's end is likely to move before theirs
 * (PENDING_WAITS_SETTLED_NS), or until PENDING_WAITS_LONGEST_NS have passed:
 * then the slice is so long that its start may stay where it is.
 *
 * Owner:   the caller's memory; pending_waits_release() frees the queue.
 * Threads: one.
 * Limits:  PENDING_WAITS_MAX; then the oldest has to go.
 * Tests:   pending_waits_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregate/thread_table.h"

#define PENDING_WAITS_MAX (1u << 17)
#define PENDING_WAITS_SETTLED_NS UINT64_C(5000000)
#define PENDING_WAITS_LONGEST_NS UINT64_C(100000000)

struct pending_wait {
    struct stored_wait wait;
    uint32_t wait_sum; /* see struct ended_wait */
    bool is_settled;   /* the slice behind it has been stored */
};

struct pending_waits {
    struct pending_wait *items; /* a ring */
    size_t capacity;            /* 0 or a power of two */
    uint64_t first, end;        /* running numbers of the oldest and of the next one */
};

void pending_waits_release(struct pending_waits *pending);

/* Sets ended->ticket, which names the wait until it is taken out. -ENOSPC: full, and it cannot
 * grow: take one out by force. `threads` hold the tickets of others, which change places. */
int pending_waits_add(struct pending_waits *pending, struct thread_table *threads,
                      struct ended_wait *ended);

/* The end of the wait is another one. */
void pending_waits_move(struct pending_waits *pending, struct thread_table *threads,
                        const struct ended_wait *ended);

/* The end of the wait is final. */
void pending_waits_settle(struct pending_waits *pending, const struct ended_wait *ended);

/* Takes out the oldest if it is time at now_ns, or anyway. What is not settled is final from now
 * on. */
bool pending_waits_take(struct pending_waits *pending, uint64_t now_ns, bool is_forced,
                        struct pending_wait *ret_wait);

static inline size_t pending_waits_count(const struct pending_waits *pending)
{
    return (size_t)(pending->end - pending->first);
}

/* The i-th oldest. */
static inline struct pending_wait *pending_waits_at(const struct pending_waits *pending, size_t i)
{
    return &pending->items[(pending->first + i) & (pending->capacity - 1)];
}

size_t pending_waits_memory_bytes(const struct pending_waits *pending);
