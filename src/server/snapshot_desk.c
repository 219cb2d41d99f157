/* SPDX-License-Identifier: MIT */
/*
 * A list of askers that anybody may push to and only the aggregator takes, as
 * a whole. Its closed state is an address that no asker has.
 */
#include "server/snapshot_desk.h"

#include <uv.h>

struct snapshot_asker {
    struct snapshot_asker *next;
    struct snapshot *answer;
    uv_sem_t answered;
};

static struct snapshot_asker closed;

void snapshot_desk_init(struct snapshot_desk *desk)
{
    atomic_init(&desk->askers, NULL);
    desk->final = NULL;
}

void snapshot_desk_release(struct snapshot_desk *desk)
{
    desk->final = snapshot_unref(desk->final);
}

static struct snapshot *reference(struct snapshot *snapshot)
{
    return snapshot ? snapshot_ref(snapshot) : NULL;
}

struct snapshot *snapshot_desk_ask(struct snapshot_desk *desk, void (*wake)(void *userdata),
                                   void *userdata)
{
    struct snapshot_asker asker = {.answer = NULL};
    struct snapshot_asker *newest = atomic_load_explicit(&desk->askers, memory_order_acquire);
    if (newest == &closed) {
        return reference(desk->final);
    }
    if (uv_sem_init(&asker.answered, 0) != 0) {
        return NULL;
    }
    bool is_closed = false;
    do {
        is_closed = newest == &closed;
        asker.next = newest;
    } while (!is_closed &&
             !atomic_compare_exchange_weak_explicit(&desk->askers, &newest, &asker,
                                                    memory_order_acq_rel, memory_order_acquire));
    if (is_closed) {
        asker.answer = reference(desk->final);
    } else {
        wake(userdata);
        uv_sem_wait(&asker.answered);
    }
    uv_sem_destroy(&asker.answered);
    return asker.answer;
}

bool snapshot_desk_has_askers(struct snapshot_desk *desk)
{
    return atomic_load_explicit(&desk->askers, memory_order_acquire) != NULL;
}

static void answer(struct snapshot_asker *askers, struct snapshot *snapshot)
{
    while (askers) {
        struct snapshot_asker *next = askers->next; /* gone as soon as it is answered */
        askers->answer = reference(snapshot);
        uv_sem_post(&askers->answered);
        askers = next;
    }
}

void snapshot_desk_serve(struct snapshot_desk *desk, struct snapshot *snapshot)
{
    answer(atomic_exchange_explicit(&desk->askers, NULL, memory_order_acq_rel), snapshot);
}

void snapshot_desk_close(struct snapshot_desk *desk, struct snapshot *take_final)
{
    desk->final = take_final;
    answer(atomic_exchange_explicit(&desk->askers, &closed, memory_order_acq_rel), take_final);
}
