/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * span - writing spans into the ring
 *
 * Owner:   nothing is kept.
 * Threads: any, at once; signal handlers too.
 * Tests:   span_test.c; bench/spans
 */

#include "target/process.h"

static inline struct target_ring_origin target_ring_origin_of(stax_origin origin)
{
    return (struct target_ring_origin){
        .time_ns = origin.time_ns, .tid = origin.tid, .pid = origin.pid};
}

/* Reserves a slot for the span and one for each detail. False: there is no room, which is counted.
 */
static inline bool target_span_reserve(uint32_t n_details, uint64_t *ret_position)
{
    if (__builtin_expect(target_ring_reserve(target_process.memory, 1 + n_details, ret_position),
                         1)) {
        return true;
    }
    __atomic_fetch_add(&target_ring_state(target_process.memory)->n_dropped_full, 1,
                       __ATOMIC_RELAXED);
    return false;
}

/* Slots are used again by other threads, which the server alone puts in order. */
#define TARGET_STORE(member, value) __atomic_store_n(&(member), value, __ATOMIC_RELAXED)

/* Fills and publishes the first of the slots. */
static inline void target_span_write(uint64_t position, uint16_t n_details, const stax_span *span,
                                     uint64_t end_ns)
{
    struct target_ring_slot *slot = target_ring_slot_at(target_process.memory, position);

    TARGET_STORE(slot->kind, TARGET_RING_SPAN);
    TARGET_STORE(slot->n_details, n_details);
    TARGET_STORE(slot->name, span->name.id ? span->name.id : TARGET_RING_NAME_OTHER);
    TARGET_STORE(slot->span.lane, span->lane.id);
    TARGET_STORE(slot->span.reporter_tid, target_tid());
    TARGET_STORE(slot->span.start_ns, span->start_ns);
    TARGET_STORE(slot->span.end_ns, end_ns);
    TARGET_STORE(slot->span.origin.time_ns, span->origin.time_ns);
    TARGET_STORE(slot->span.origin.tid, span->origin.tid);
    TARGET_STORE(slot->span.origin.pid, span->origin.pid);
    target_ring_publish(slot, position);
    __atomic_fetch_add(&target_ring_state(target_process.memory)->n_queued, 1, __ATOMIC_RELAXED);
}
