/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * memory - the memory of layout.h, made by the program that reports spans
 *
 * A sealed memfd, so that the server's mapping can neither be cut off nor
 * outgrow what it has checked. Where none can be had it is memory of the
 * process's own: names and lanes work, and nobody can take spans from it.
 *
 * Owner:   the process, for its whole life: it is never unmapped, so that no
 *          thread can be caught in it.
 * Threads: one at a time.
 * Source:  docs/PROTOCOL.target-ring.md
 * Tests:   memory_test.c
 */

#include "target_ring/layout.h"

/* What of the tables is in use. */
struct target_ring_extent {
    uint32_t n_lanes, n_names, n_text_bytes;
};

/* Returns 0 and memory whose only name is "(other)", or -ENOMEM. ret_fd: -1 where it is the
 * process's own. */
int target_ring_memory_new(void **ret_memory, int *ret_fd);

/*
 * Puts fresh memory at the same address, at once for every thread: the names
 * and lanes of `extent` are in it, slots are not. wants_counts: what was counted
 * is kept (a child after fork() counts from 0).
 *
 * Returns 0, or a negative errno where nothing has changed.
 */
int target_ring_memory_renew(void *memory, const struct target_ring_extent *extent,
                             int wants_counts, int *ret_fd);

/* The same file by a high number, if there is one free: programs expect the low ones for what they
 * open themselves. */
int target_ring_move_fd(int fd);

static inline struct target_ring_control *target_ring_control(void *memory)
{
    return (struct target_ring_control *)memory;
}

static inline struct target_ring_state *target_ring_state(void *memory)
{
    return (struct target_ring_state *)((uint8_t *)memory + TARGET_RING_PAGE);
}

static inline struct target_ring_lane *target_ring_lanes(void *memory)
{
    return (struct target_ring_lane *)((uint8_t *)memory + TARGET_RING_LANES_OFFSET);
}

static inline struct target_ring_name *target_ring_names(void *memory)
{
    return (struct target_ring_name *)((uint8_t *)memory + TARGET_RING_NAMES_OFFSET);
}

static inline char *target_ring_text(void *memory)
{
    return (char *)memory + TARGET_RING_TEXT_OFFSET;
}

static inline struct target_ring_slot *target_ring_slots(void *memory)
{
    return (struct target_ring_slot *)((uint8_t *)memory + TARGET_RING_SLOTS_OFFSET);
}
