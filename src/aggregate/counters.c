/* SPDX-License-Identifier: MIT */
#include "aggregate/counters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define READINGS_MAX (UINT64_C(1) << 32)

int counters_init(struct counters *counters)
{
    *counters = (struct counters){0};
    hash_table_init(&counters->group_numbers);
    hash_table_init(&counters->base_ids);
    hash_table_init(&counters->sum_ids);
    return chunked_init(&counters->readings, sizeof(struct stored_reading), READINGS_MAX);
}

void counters_release(struct counters *counters)
{
    hash_table_release(&counters->group_numbers);
    hash_table_release(&counters->base_ids);
    hash_table_release(&counters->sum_ids);
    chunked_release(&counters->readings);
    free(counters->bases);
    free(counters->times);
    free(counters->sums);
}

/* Room for one more zeroed item behind the others. */
static void *make_room(void *items, size_t n_items, size_t *capacity, size_t item_bytes)
{
    if (n_items < *capacity) {
        return items;
    }
    size_t wanted = *capacity ? 2 * *capacity : 64;
    uint8_t *grown = reallocarray(items, wanted, item_bytes);
    if (grown) {
        memset(grown + *capacity * item_bytes, 0, (wanted - *capacity) * item_bytes);
        *capacity = wanted;
    }
    return grown;
}

static int number_group(struct counters *counters, uint64_t group, uint32_t *ret_number)
{
    uint32_t number = hash_table_find(&counters->group_numbers, group);
    if (number == HASH_TABLE_NONE) {
        number = counters->n_groups;
        int r = number >= COUNTER_BASES_MAX
                    ? -ENOSPC
                    : hash_table_add(&counters->group_numbers, group, number);
        if (r != 0) {
            return r;
        }
        counters->n_groups++;
    }
    *ret_number = number;
    return 0;
}

/* A group counts from 0, so that is where a thread begins that is new to it. */
static int find_base(struct counters *counters, uint64_t group, thread_id thread, uint32_t *ret_id)
{
    uint32_t number;
    int r = number_group(counters, group, &number);
    if (r != 0) {
        return r;
    }
    uint64_t key = (uint64_t)number << 32 | thread;
    uint32_t id = hash_table_find(&counters->base_ids, key);
    if (id == HASH_TABLE_NONE) {
        id = (uint32_t)counters->n_bases;
        struct counter_base *bases = make_room(counters->bases, counters->n_bases,
                                               &counters->bases_capacity, sizeof(*bases));
        if (!bases || id >= COUNTER_BASES_MAX) {
            counters->bases = bases ? bases : counters->bases;
            return bases ? -ENOSPC : -ENOMEM;
        }
        counters->bases = bases;
        r = hash_table_add(&counters->base_ids, key, id);
        if (r != 0) {
            return r;
        }
        counters->n_bases++;
    }
    *ret_id = id;
    return 0;
}

static int find_sums(struct counters *counters, thread_id thread, stack_id stack, uint32_t *ret_id)
{
    uint64_t key = (uint64_t)thread << 32 | stack;
    uint32_t id = hash_table_find(&counters->sum_ids, key);
    if (id == HASH_TABLE_NONE) {
        id = (uint32_t)counters->n_sums;
        struct counter_sums *sums =
            make_room(counters->sums, counters->n_sums, &counters->sums_capacity, sizeof(*sums));
        if (!sums || id >= COUNTER_SUMS_MAX) {
            counters->sums = sums ? sums : counters->sums;
            return sums ? -ENOSPC : -ENOMEM;
        }
        counters->sums = sums;
        int r = hash_table_add(&counters->sum_ids, key, id);
        if (r != 0) {
            return r;
        }
        sums[counters->n_sums++] = (struct counter_sums){.thread = thread, .stack = stack};
    }
    *ret_id = id;
    return 0;
}

static int find_time(struct counters *counters, thread_id thread, struct counter_time **ret_time)
{
    while (thread >= counters->times_capacity) {
        struct counter_time *times = make_room(counters->times, counters->times_capacity,
                                               &counters->times_capacity, sizeof(*times));
        if (!times) {
            return -ENOMEM;
        }
        counters->times = times;
    }
    counters->n_times = thread >= counters->n_times ? thread + 1 : counters->n_times;
    *ret_time = &counters->times[thread];
    return 0;
}

static bool has_decreased(const struct counter_base *base, const struct event_counters *reading)
{
    bool has = reading->running_ns < base->running_ns || reading->enabled_ns < base->enabled_ns;
    for (size_t slot = 0; slot < LIMIT_COUNTERS; slot++) {
        bool is_set = (reading->slots >> slot & 1) != 0;
        has = has || (is_set && reading->values[slot] < base->values[slot]);
    }
    return has;
}

/* The times that the thread gained, and which it has been gaining at most from one reading of the
 * group to the next: so much can be missing at the end of its time on a CPU. */
static void add_time(struct counter_time *time, struct counter_base *base,
                     const struct event_counters *reading, struct stored_reading *ret_step)
{
    uint64_t running_ns = reading->running_ns - base->running_ns;
    uint64_t enabled_ns =
        reading->enabled_ns > time->enabled_ns ? reading->enabled_ns - time->enabled_ns : 0;
    time->enabled_ns += enabled_ns;
    time->running_ns += running_ns;
    if (running_ns > base->longest_ns) {
        time->tail_ns += running_ns - base->longest_ns;
        base->longest_ns = running_ns;
    }
    time->longest_ns = running_ns > time->longest_ns ? running_ns : time->longest_ns;
    ret_step->enabled_ns = enabled_ns < UINT32_MAX ? (uint32_t)enabled_ns : UINT32_MAX;
    ret_step->running_ns = running_ns < UINT32_MAX ? (uint32_t)running_ns : UINT32_MAX;
}

static void set_base(struct counter_base *base, const struct event_counters *reading)
{
    base->enabled_ns = reading->enabled_ns;
    base->running_ns = reading->running_ns;
    memcpy(base->values, reading->values, sizeof(base->values));
}

int counters_apply(struct counters *counters, const struct event_counters *reading,
                   const struct stored_reading *where)
{
    uint32_t base_id = 0, sums_id = 0;
    struct counter_time *time = NULL;
    int r = find_base(counters, reading->group, where->thread, &base_id);
    r = r ? r : find_sums(counters, where->thread, where->stack, &sums_id);
    r = r ? r : find_time(counters, where->thread, &time);
    if (r != 0) {
        counters->n_turned_away++;
        return r;
    }
    struct counter_base *base = &counters->bases[base_id];
    struct counter_sums *sums = &counters->sums[sums_id];
    struct stored_reading step = *where;
    if (has_decreased(base, reading)) {
        counters->n_decreased++;
        set_base(base, reading);
        return 0;
    }
    add_time(time, base, reading, &step);
    for (size_t slot = 0; slot < LIMIT_COUNTERS; slot++) {
        bool is_set = (reading->slots >> slot & 1) != 0;
        step.values[slot] = is_set ? reading->values[slot] - base->values[slot] : 0;
        sums->values[slot] += step.values[slot];
    }
    sums->n_readings++;
    set_base(base, reading);
    struct stored_reading *slot = chunked_add(&counters->readings);
    if (!slot) {
        counters->n_turned_away++;
        return -ENOSPC;
    }
    *slot = step;
    return 0;
}

size_t counters_memory_bytes(const struct counters *counters)
{
    return hash_table_memory_bytes(&counters->group_numbers) +
           hash_table_memory_bytes(&counters->base_ids) +
           hash_table_memory_bytes(&counters->sum_ids) +
           counters->bases_capacity * sizeof(*counters->bases) +
           counters->times_capacity * sizeof(*counters->times) +
           counters->sums_capacity * sizeof(*counters->sums) +
           chunked_memory_bytes(&counters->readings);
}
