/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * outsiders - names of threads of other processes that wake the target's
 *
 * Owner:   outsiders_init()/_release() in the caller's memory. Threads: one.
 * Limits:  OUTSIDERS_MAX are named; more have a number only.
 * Tests:   outsiders_test.c
 */

#include <stdint.h>

#include "base/hash_table.h"
#include "model/event_batch.h"

#define OUTSIDERS_MAX 4096u

struct outsiders {
    struct hash_table known; /* tid → 1 */
};

void outsiders_init(struct outsiders *outsiders);
void outsiders_release(struct outsiders *outsiders);

/* The first time that it is met, adds an EVENT_WAKEUP of `wakeup`'s thread that tells its name, as
 * far as /proc tells it. The batch must have room. */
void outsiders_note(struct outsiders *outsiders, int64_t tid, const struct event *wakeup,
                    struct event_batch *batch);
