/* SPDX-License-Identifier: MIT */
#include "archive/history_gaps.h"

#include <errno.h>
#include <stdlib.h>

void history_gaps_release(struct history_gaps *gaps)
{
    free(gaps->gaps);
    free(gaps->threads);
    *gaps = (struct history_gaps){0};
}

int history_gaps_add_thread(struct history_gaps *gaps, uint64_t start_ns)
{
    if (gaps->n_threads == gaps->threads_capacity) {
        size_t capacity = 2 * gaps->threads_capacity + 64;
        struct history_gap_queue *threads = reallocarray(gaps->threads, capacity, sizeof(*threads));
        if (!threads) {
            return -ENOMEM;
        }
        gaps->threads = threads;
        gaps->threads_capacity = capacity;
    }
    gaps->threads[gaps->n_threads++] = (struct history_gap_queue){.slice_end_ns = start_ns};
    return 0;
}

int history_gaps_add_slice(struct history_gaps *gaps, const struct stored_slice *slice)
{
    if (slice->thread >= gaps->n_threads) {
        return 0;
    }
    struct history_gap_queue *thread = &gaps->threads[slice->thread];
    uint64_t start_ns = thread->slice_end_ns;
    thread->slice_end_ns = slice->end_ns;
    if (slice->before != GAP_BLOCKED || gaps->n_gaps == UINT32_MAX - 1) {
        return 0;
    }
    if (gaps->n_gaps == gaps->capacity) {
        size_t capacity = 2 * gaps->capacity + 1024;
        struct history_gap *grown = reallocarray(gaps->gaps, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        gaps->gaps = grown;
        gaps->capacity = capacity;
    }
    gaps->gaps[gaps->n_gaps++] =
        (struct history_gap){.start_ns = start_ns, .end_ns = slice->start_ns};
    if (thread->first == 0) {
        thread->first = (uint32_t)gaps->n_gaps;
    } else {
        gaps->gaps[thread->last - 1].next = (uint32_t)gaps->n_gaps;
    }
    thread->last = (uint32_t)gaps->n_gaps;
    return 0;
}

uint8_t history_gaps_tell(struct history_gaps *gaps, const struct stored_wait *wait)
{
    if (wait->thread >= gaps->n_threads) {
        return 0;
    }
    struct history_gap_queue *thread = &gaps->threads[wait->thread];
    uint8_t number = 1;
    for (uint32_t at = thread->first; at != 0 && number <= HISTORY_GAPS_AHEAD; number++) {
        const struct history_gap *gap = &gaps->gaps[at - 1];
        if (gap->end_ns > wait->end_ns) {
            break;
        }
        if (gap->end_ns == wait->end_ns && gap->start_ns == wait->start_ns) {
            thread->first = gap->next;
            return number;
        }
        at = gap->next;
    }
    return 0;
}

bool history_gaps_take(struct history_gaps *gaps, thread_id thread, uint8_t number,
                       struct history_gap *ret_gap)
{
    if (thread >= gaps->n_threads) {
        return false;
    }
    uint32_t at = gaps->threads[thread].first;
    for (; at != 0 && number > 1; number--) {
        at = gaps->gaps[at - 1].next;
    }
    if (at == 0) {
        return false;
    }
    *ret_gap = gaps->gaps[at - 1];
    gaps->threads[thread].first = ret_gap->next;
    return true;
}
