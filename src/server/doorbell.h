/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * doorbell - how one thread that sleeps is woken by others, cheaply
 *
 * Ringing costs one atomic instruction while the sleeper is awake; the kernel
 * is asked only when it really sleeps.
 *
 *     while (!(work = take_work())) {
 *         doorbell_prepare(&bell);
 *         if ((work = take_work())) {
 *             doorbell_cancel(&bell);
 *             break;
 *         }
 *         doorbell_wait(&bell);
 *     }
 *
 * Whoever leaves work rings afterwards: either the second look finds the work,
 * or the ring ends the wait.
 *
 * Owner:   the caller holds the struct; doorbell_init()/_release().
 * Threads: one sleeps, any ring.
 * Tests:   doorbell_test.c
 */

#include <stdatomic.h>
#include <stdint.h>
#include <uv.h>

#include "base/cleanup.h"

struct doorbell {
    uv_sem_t wakeups;
    atomic_uint_fast32_t is_asleep;
};

int doorbell_init(struct doorbell *bell);
void doorbell_release(struct doorbell *bell);
DEFINE_RELEASEP(doorbell);

/* From here on a ring is kept. */
void doorbell_prepare(struct doorbell *bell);

/* Work was found after all. */
void doorbell_cancel(struct doorbell *bell);

void doorbell_wait(struct doorbell *bell);
void doorbell_ring(struct doorbell *bell);
