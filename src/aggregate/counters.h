/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * counters - readings of the processor's counters, as sums by thread and stack
 *
 * A reading is the total of one thread in one group so far; what has been
 * added since the reading before belongs to the place where the thread is now.
 *
 * Shape:   sums are as they were counted. How much the counters missed is known
 *          by thread and no finer: a group of one CPU stands still while the
 *          thread runs on another, which must not be taken for counters that
 *          were lent to somebody else. counter_time_scale() tells the two apart.
 * Owner:   the caller's memory.
 * Threads: one writer; readers of the readings that were published to them.
 * Limits:  COUNTER_BASES_MAX groups by thread, COUNTER_SUMS_MAX stacks by
 *          thread; readings past them are counted in n_turned_away.
 * Source:  docs/design/0013-counters.md
 * Tests:   counters_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "aggregate/chunked.h"
#include "aggregate/snapshot.h"
#include "base/hash_table.h"

#define COUNTER_BASES_MAX (1u << 20)
#define COUNTER_SUMS_MAX (1u << 20)

/* Where the next reading of a thread and group goes on. */
struct counter_base {
    uint64_t enabled_ns, running_ns;
    uint64_t longest_ns; /* between two readings */
    uint64_t values[LIMIT_COUNTERS];
};

struct counters {
    struct hash_table group_numbers; /* by event_counters.group */
    uint32_t n_groups;
    struct hash_table base_ids; /* by group number and thread */
    struct counter_base *bases;
    size_t n_bases, bases_capacity;
    struct counter_time *times; /* by thread_id */
    size_t n_times, times_capacity;
    struct hash_table sum_ids; /* by thread and stack */
    struct counter_sums *sums;
    size_t n_sums, sums_capacity;
    struct chunked readings; /* struct stored_reading */
    uint64_t n_turned_away;
    uint64_t n_decreased; /* readings lower than the one before, which cannot be: dropped */
};

int counters_init(struct counters *counters);
void counters_release(struct counters *counters);

/* 0, or -ENOMEM or -ENOSPC: the reading is lost, a later one makes up for it. */
int counters_apply(struct counters *counters, const struct event_counters *reading,
                   const struct stored_reading *where);
size_t counters_memory_bytes(const struct counters *counters);
