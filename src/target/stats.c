/* SPDX-License-Identifier: MIT */

#include <stddef.h>
#include <string.h>

#include "target/link.h"
#include "target/process.h"

static uint64_t load(const uint64_t *count)
{
    return __atomic_load_n(count, __ATOMIC_RELAXED);
}

/* Spans that are written and not taken: each has its details in slots beside it. */
static uint64_t count_pending(void *memory)
{
    uint64_t head = __atomic_load_n(&target_ring_state(memory)->head, __ATOMIC_ACQUIRE);
    uint64_t tail = __atomic_load_n(&target_ring_control(memory)->tail, __ATOMIC_ACQUIRE);
    uint64_t n_pending = 0;

    if (head - tail > TARGET_RING_SLOTS) {
        return 0;
    }
    for (uint64_t position = tail; position < head; position++) {
        const struct target_ring_slot *slot = target_ring_slot_at(memory, position);
        if (__atomic_load_n(&slot->commit, __ATOMIC_ACQUIRE) == position + 1 &&
            __atomic_load_n(&slot->kind, __ATOMIC_RELAXED) == TARGET_RING_SPAN) {
            n_pending++;
        }
    }
    return n_pending;
}

/* The highest that was told, `n` among them. */
static uint64_t never_back(uint64_t *n_told, uint64_t n)
{
    uint64_t n_before = load(n_told);

    while (n_before < n && !__atomic_compare_exchange_n(n_told, &n_before, n, false,
                                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return n_before < n ? n : n_before;
}

/* Spans are written and taken while this counts. What was queued is read first and what was taken
 * last: so none is held to be skipped that is not. */
static void count_sent(void *memory, stax_stats *stats)
{
    uint64_t n_queued = stats->n_queued;
    uint64_t n_pending = count_pending(memory);
    uint64_t n_taken = __atomic_load_n(&target_ring_control(memory)->n_taken, __ATOMIC_ACQUIRE);
    uint64_t n_gone = n_queued > n_pending ? n_queued - n_pending : 0;
    uint64_t n_skipped = n_gone > n_taken ? n_gone - n_taken : 0;

    stats->n_sent = never_back(&target_process.n_sent_told, n_taken);
    stats->n_dropped_no_server += never_back(&target_process.n_skipped_told, n_skipped);
}

void stax_target_stats(stax_stats *ret_stats)
{
    void *memory = __atomic_load_n(&target_process.memory, __ATOMIC_ACQUIRE);
    stax_stats stats = {.size = ret_stats->size, .state = target_link_state()};

    if (memory) {
        const struct target_ring_state *state = target_ring_state(memory);
        stats.n_queued = __atomic_load_n(&state->n_queued, __ATOMIC_ACQUIRE);
        stats.n_dropped_full = load(&state->n_dropped_full);
        stats.n_dropped_no_server = load(&state->n_dropped_no_server);
        count_sent(memory, &stats);
        stats.n_names_refused = load(&state->n_names_refused);
        stats.n_lanes_refused = load(&state->n_lanes_refused);
        stats.n_details_refused = load(&state->n_details_refused);
    }
    memcpy(ret_stats, &stats, stats.size < sizeof(stats) ? stats.size : sizeof(stats));
}
