/* SPDX-License-Identifier: MIT */
#include "aggregate/wait_log.h"

#include <errno.h>
#include <stdlib.h>

#define WAITS_MAX (UINT64_C(1) << 32)
#define LONG_WAITS_MAX (UINT64_C(1) << 24)

int wait_log_init(struct wait_log *log)
{
    *log = (struct wait_log){0};
    hash_table_init(&log->sum_ids);
    int r = chunked_init(&log->waits, sizeof(struct stored_wait), WAITS_MAX);
    return r ? r : chunked_init(&log->long_waits, sizeof(uint64_t), LONG_WAITS_MAX);
}

void wait_log_release(struct wait_log *log)
{
    chunked_release(&log->waits);
    chunked_release(&log->long_waits);
    hash_table_release(&log->sum_ids);
    free(log->sums);
    log->sums = NULL;
}

uint32_t wait_log_find_sum(struct wait_log *log, thread_id thread, stack_id stack)
{
    uint64_t key = (uint64_t)thread << 32 | stack;
    uint32_t known = hash_table_find(&log->sum_ids, key);
    if (known != HASH_TABLE_NONE) {
        return known;
    }
    if (log->n_sums >= WAIT_SUMS_MAX) {
        return WAIT_SUM_NONE;
    }
    if (log->n_sums == log->sums_capacity) {
        size_t capacity = log->sums_capacity ? 2 * log->sums_capacity : 256;
        struct wait_sums *sums = reallocarray(log->sums, capacity, sizeof(*sums));
        if (!sums) {
            return WAIT_SUM_NONE;
        }
        log->sums = sums;
        log->sums_capacity = capacity;
    }
    uint32_t number = (uint32_t)log->n_sums;
    if (hash_table_add(&log->sum_ids, key, number) != 0) {
        return WAIT_SUM_NONE;
    }
    log->sums[log->n_sums++] = (struct wait_sums){.thread = thread, .stack = stack};
    return number;
}

int wait_log_store(struct wait_log *log, const struct stored_wait *wait, uint32_t sum)
{
    uint64_t blocked_ns = wait->wake_ns - wait->start_ns;
    if (sum != WAIT_SUM_NONE && blocked_ns > log->sums[sum].max_blocked_ns) {
        log->sums[sum].max_blocked_ns = blocked_ns;
    }
    uint64_t index = log->waits.n_items;
    bool is_long = wait->end_ns - wait->start_ns > STORED_SLICE_MAX_NS;
    if (is_long) {
        /* Listed first: a wait that is stored but not listed would be missed by some ranges. */
        uint64_t *listed = chunked_add(&log->long_waits);
        if (!listed) {
            return -ENOSPC;
        }
        *listed = index;
    }
    struct stored_wait *slot = chunked_add(&log->waits);
    if (!slot) {
        log->long_waits.n_items -= is_long;
        return -ENOSPC;
    }
    *slot = *wait;
    return 0;
}

size_t wait_log_memory_bytes(const struct wait_log *log)
{
    return chunked_memory_bytes(&log->waits) + chunked_memory_bytes(&log->long_waits) +
           log->sums_capacity * sizeof(*log->sums) + hash_table_memory_bytes(&log->sum_ids);
}
