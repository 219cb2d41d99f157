/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * waker_name - who ended a wait, as answers say it
 *
 * Owner:   names live as long as the run.
 * Threads: any.
 * Tests:   waker_name_test.c
 */

#include "aggregate/snapshot.h"

/* "(timer or interrupt)" */
extern const char waker_name_none[];

struct waker_name {
    int64_t tid;      /* 0: no thread */
    const char *name; /* "" where unknown */
    bool is_outsider; /* a thread that is none of the target's */
};

/* Is it one of the target's threads? */
static inline bool waker_is_thread(const struct snapshot *snapshot, waker_id waker)
{
    return waker < snapshot->n_threads;
}

/* Of WAKER_ID_UNKNOWN tid -1. */
struct waker_name waker_name_of(const struct snapshot *snapshot, waker_id waker);
