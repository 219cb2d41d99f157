/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * writer - slots of the ring, reserved and published by the program
 *
 * In a header, since a call would cost as much as the work. What the server
 * writes (`tail`) can make spans drop, and nothing else.
 *
 * Owner:   whoever has reserved a slot, until it is published.
 * Threads: any, at once; signal handlers too: nobody waits for anybody.
 * Tests:   writer_test.c
 */

#include <stdbool.h>

#include "target_ring/memory.h"

/* n slots in a row, *ret_position being the first. False: there is no room, or `tail` lies. */
static inline bool target_ring_reserve(void *memory, uint32_t n, uint64_t *ret_position)
{
    uint64_t *head = &target_ring_state(memory)->head;
    uint64_t position = __atomic_load_n(head, __ATOMIC_RELAXED);

    for (;;) {
        /* Acquire: the reader is done with what was in these slots. */
        uint64_t tail = __atomic_load_n(&target_ring_control(memory)->tail, __ATOMIC_ACQUIRE);

        if (position + n - tail > TARGET_RING_SLOTS) {
            /* Both may have moved past the position that was read before. */
            uint64_t now = __atomic_load_n(head, __ATOMIC_RELAXED);
            if (now == position) {
                return false;
            }
            position = now;
            continue;
        }
        if (__atomic_compare_exchange_n(head, &position, position + n, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
            *ret_position = position;
            return true;
        }
    }
}

static inline struct target_ring_slot *target_ring_slot_at(void *memory, uint64_t position)
{
    return &target_ring_slots(memory)[position & (TARGET_RING_SLOTS - 1)];
}

/* All else of the slot is written. A span with details is published last. */
static inline void target_ring_publish(struct target_ring_slot *slot, uint64_t position)
{
    __atomic_store_n(&slot->commit, position + 1, __ATOMIC_RELEASE);
}
