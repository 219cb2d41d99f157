/* SPDX-License-Identifier: MIT */
#include "server/doorbell.h"

#include <errno.h>

int doorbell_init(struct doorbell *bell)
{
    atomic_init(&bell->is_asleep, 0);
    return uv_sem_init(&bell->wakeups, 0) == 0 ? 0 : -ENOMEM;
}

void doorbell_release(struct doorbell *bell)
{
    uv_sem_destroy(&bell->wakeups);
}

void doorbell_prepare(struct doorbell *bell)
{
    atomic_exchange_explicit(&bell->is_asleep, 1, memory_order_acq_rel);
}

void doorbell_cancel(struct doorbell *bell)
{
    /* Who rang in between has posted, or will: that post must not end the next wait. */
    if (atomic_exchange_explicit(&bell->is_asleep, 0, memory_order_acq_rel) == 0) {
        uv_sem_wait(&bell->wakeups);
    }
}

void doorbell_wait(struct doorbell *bell)
{
    uv_sem_wait(&bell->wakeups);
}

void doorbell_ring(struct doorbell *bell)
{
    /*
     * A read-modify-write, not a load: the two sides' exchanges have one order,
     * so that one of them always sees what the other did before it.
     */
    if (atomic_exchange_explicit(&bell->is_asleep, 0, memory_order_acq_rel) != 0) {
        uv_sem_post(&bell->wakeups);
    }
}
