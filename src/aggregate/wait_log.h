/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wait_log - the waits of a run that have ended, and their sums
 *
 * Sums are booked as soon as a wait has ended; the wait itself is stored when
 * nothing can move its end any more (pending_waits.h).
 *
 * Owner:   the caller's memory.
 * Threads: one writer; readers of stored waits below a published count.
 * Limits:  WAIT_SUMS_MAX pairs of thread and stack; a wait in a further one is
 *          stored, but in no sum.
 * Source:  docs/design/0003-stacks-and-time.md
 * Tests:   wait_log_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "aggregate/chunked.h"
#include "aggregate/snapshot.h"
#include "base/hash_table.h"

#define WAIT_SUMS_MAX (1u << 20)
#define WAIT_SUM_NONE UINT32_MAX

struct wait_log {
    struct chunked waits;      /* struct stored_wait */
    struct chunked long_waits; /* uint64_t: which of them are longer than STORED_SLICE_MAX_NS */
    struct wait_sums *sums;
    size_t n_sums, sums_capacity;
    struct hash_table sum_ids; /* (thread, stack) → number of the sum */
};

int wait_log_init(struct wait_log *log);
void wait_log_release(struct wait_log *log);

/* The sum that waits of this thread in this stack belong to, WAIT_SUM_NONE where there is no room.
 */
uint32_t wait_log_find_sum(struct wait_log *log, thread_id thread, stack_id stack);

/* 0, -ENOSPC or -ENOMEM. `sum` is where it was booked. */
int wait_log_store(struct wait_log *log, const struct stored_wait *wait, uint32_t sum);
size_t wait_log_memory_bytes(const struct wait_log *log);
