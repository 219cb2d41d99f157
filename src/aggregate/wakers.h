/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wakers - who ends the waits of a run, from where and how often
 *
 * Owner:   the caller's memory.
 * Threads: one writer; readers of outsiders that were published to them.
 * Limits:  OUTSIDERS_MAX threads that are none of the target's, WAKE_SUMS_MAX
 *          rows, RECENT_WAKER_STACKS remembered stacks of wakers.
 * Tests:   wakers_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "aggregate/chunked.h"
#include "aggregate/name_table.h"
#include "aggregate/snapshot.h"
#include "base/hash_table.h"

#define OUTSIDERS_MAX (1u << 16)
#define WAKE_SUMS_MAX (1u << 20)
#define WAKE_SUM_NONE UINT32_MAX
#define RECENT_WAKER_STACKS (1u << 13)

struct waker_stack {
    thread_id thread;
    uint32_t serial; /* 0: nothing is remembered here */
    stack_id stack;
};

struct wakers {
    struct chunked outsiders; /* struct known_outsider */
    struct hash_table outsider_ids;
    struct name_table names;
    struct waker_stack *recent;
    struct wake_sums *sums;
    size_t n_sums, sums_capacity;
    struct hash_table sum_ids;
    uint64_t n_turned_away; /* wakeups by outsiders that found no room */
};

int wakers_init(struct wakers *wakers);
void wakers_release(struct wakers *wakers);
/* Nothing will be told of any more: what only that needed is freed. */
void wakers_end(struct wakers *wakers);

/* WAKER_ID_UNKNOWN where there is no room. */
waker_id wakers_outsider(struct wakers *wakers, int64_t tid);

/* The newest name counts: a thread is renamed by exec. */
void wakers_name_outsider(struct wakers *wakers, int64_t tid, const char *name);
struct outsider wakers_get_outsider(const struct wakers *wakers, waker_id waker);

/*
 * Stacks by serial. A wait ends later than the wakeup that ended it was told,
 * and its waker may have woken others from elsewhere in between: not only the
 * last stack of a thread is remembered, but the recent ones of all.
 */
void wakers_remember(struct wakers *wakers, thread_id thread, uint32_t serial, stack_id stack);
stack_id wakers_find_stack(const struct wakers *wakers, thread_id thread, uint32_t serial);

/* The row of such wakeups, WAKE_SUM_NONE where there is no room. */
uint32_t wakers_find_sum(struct wakers *wakers, waker_id waker, thread_id wakee,
                         stack_id waker_stack);
size_t wakers_memory_bytes(const struct wakers *wakers);
