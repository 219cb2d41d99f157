/* SPDX-License-Identifier: MIT */
/* Sums that are made anew, of a part of a run. */
#include <errno.h>

#include "aggregate/restore_internal.h"

int restore_count_sample(struct restore *restore, struct sample_pair pair)
{
    struct aggregate *aggregate = restore->aggregate;
    uint64_t key = (uint64_t)pair.thread << 32 | (uint64_t)pair.slice_class << 28 | pair.stack;
    uint32_t known = hash_table_find(&aggregate->pair_ids, key);
    if (known != HASH_TABLE_NONE) {
        aggregate->pair_counts[known]++;
        return 0;
    }
    uint32_t number = (uint32_t)aggregate->pairs.n_items;
    int r = restore_add_pair(restore, pair, 1);
    return r ? r : hash_table_add(&aggregate->pair_ids, key, number);
}

int restore_count_wait(struct restore *restore, const struct wait_sums *part)
{
    struct wait_log *log = &restore->aggregate->wait_log;
    if (!restore_has_thread(restore, part->thread)) {
        return -EBADMSG;
    }
    uint32_t number =
        wait_log_find_sum(log, part->thread, restore_known_stack(restore, part->stack));
    if (number == WAIT_SUM_NONE) {
        return -ENOSPC;
    }
    struct wait_sums *sum = &log->sums[number];
    sum->flags |= part->flags;
    sum->n_waits += part->n_waits;
    sum->blocked_ns += part->blocked_ns;
    sum->runnable_ns += part->runnable_ns;
    if (part->max_blocked_ns > sum->max_blocked_ns) {
        sum->max_blocked_ns = part->max_blocked_ns;
    }
    return 0;
}

int restore_count_wakeup(struct restore *restore, const struct wake_sums *part)
{
    struct wakers *wakers = &restore->aggregate->wakers;
    if (!restore_has_thread(restore, part->wakee)) {
        return -EBADMSG;
    }
    uint32_t number = wakers_find_sum(wakers, restore_known_waker(restore, part->waker),
                                      part->wakee, restore_known_stack(restore, part->waker_stack));
    if (number == WAKE_SUM_NONE) {
        return -ENOSPC;
    }
    struct wake_sums *sum = &wakers->sums[number];
    sum->n_wakeups += part->n_wakeups;
    sum->blocked_ns += part->blocked_ns;
    sum->runnable_ns += part->runnable_ns;
    return 0;
}

int restore_count_reading(struct restore *restore, const struct stored_reading *reading)
{
    struct counters *counters = &restore->aggregate->counters;
    uint64_t key = (uint64_t)reading->thread << 32 | reading->stack;
    uint32_t number = hash_table_find(&counters->sum_ids, key);
    if (number == HASH_TABLE_NONE) {
        const struct counter_sums empty = {.thread = reading->thread, .stack = reading->stack};
        number = (uint32_t)counters->n_sums;
        int r = restore_add_counter_sums(restore, &empty);
        r = r ? r : hash_table_add(&counters->sum_ids, key, number);
        if (r != 0) {
            return r;
        }
    }
    struct counter_sums *sums = &counters->sums[number];
    sums->n_readings++;
    for (size_t slot = 0; slot < LIMIT_COUNTERS; slot++) {
        sums->values[slot] += reading->values[slot];
    }
    return 0;
}
