/* SPDX-License-Identifier: MIT */
/*
 * The records of a run and its sums. Queries search records by time and walk
 * those of a thread one behind the other: what is out of its order is moved
 * into it. In what a run has written nothing is.
 */
#include <errno.h>
#include <stdlib.h>

#include "aggregate/restore_internal.h"

static uint64_t not_before(struct restore *restore, uint64_t time_ns, uint64_t least_ns)
{
    restore->n_mended += time_ns < least_ns;
    return time_ns < least_ns ? least_ns : time_ns;
}

static uint8_t at_most(struct restore *restore, uint8_t value, uint8_t most)
{
    restore->n_mended += value > most;
    return value > most ? most : value;
}

/* ---- records ---- */

int restore_add_sample(struct restore *restore, const struct stored_sample *sample)
{
    if (!restore_has_thread(restore, sample->thread)) {
        return -EBADMSG;
    }
    struct stored_sample *slot = chunked_add(&restore->aggregate->samples);
    if (!slot) {
        return -ENOSPC;
    }
    uint64_t time_ns = restore_time_in_run(restore, sample->time_ns);
    restore->sample_ns = not_before(restore, time_ns, restore->sample_ns);
    *slot = *sample;
    aggregate_note_period(restore->aggregate, sample->period_ns);
    slot->time_ns = restore->sample_ns;
    slot->stack = restore_known_stack(restore, sample->stack);
    slot->slice_class = at_most(restore, sample->slice_class, SLICE_CLASS_LONG);
    return 0;
}

int restore_add_slice(struct restore *restore, const struct stored_slice *slice)
{
    if (!restore_has_thread(restore, slice->thread)) {
        return -EBADMSG;
    }
    struct stored_slice *slot = chunked_add(&restore->aggregate->slices);
    if (!slot) {
        return -ENOSPC;
    }
    struct restored_thread *thread = &restore->threads[slice->thread];
    *slot = *slice;
    slot->end_ns =
        not_before(restore, restore_time_in_run(restore, slice->end_ns), restore->slice_end_ns);
    uint64_t start_ns = slice->start_ns < slot->end_ns ? slice->start_ns : slot->end_ns;
    restore->n_mended += start_ns != slice->start_ns;
    slot->start_ns =
        not_before(restore, restore_time_in_run(restore, start_ns), thread->slice_end_ns);
    slot->before = at_most(restore, slice->before, GAP_RUNNABLE);
    slot->after = at_most(restore, slice->after, GAP_RUNNABLE);
    restore->slice_end_ns = thread->slice_end_ns = slot->end_ns;
    return 0;
}

/* The ends of waits are in their order, but for few that are up to STORED_SLICE_MAX_NS out of it;
 * those of one thread always are. */
static void order_wait(struct restore *restore, struct stored_wait *wait)
{
    struct restored_thread *thread = &restore->threads[wait->thread];
    uint64_t least_end_ns =
        restore->wait_end_ns > STORED_SLICE_MAX_NS ? restore->wait_end_ns - STORED_SLICE_MAX_NS : 0;
    wait->end_ns =
        not_before(restore, restore_time_in_run(restore, wait->end_ns), thread->wait_end_ns);
    wait->end_ns = not_before(restore, wait->end_ns, least_end_ns);
    wait->start_ns =
        not_before(restore, restore_time_in_run(restore, wait->start_ns), thread->wait_end_ns);
    wait->wake_ns = not_before(restore, wait->wake_ns, wait->start_ns);
    if (wait->wake_ns > wait->end_ns) {
        restore->n_mended++;
        wait->wake_ns = wait->end_ns;
        wait->start_ns = wait->start_ns < wait->end_ns ? wait->start_ns : wait->end_ns;
    }
    thread->wait_end_ns = wait->end_ns;
    restore->wait_end_ns =
        wait->end_ns > restore->wait_end_ns ? wait->end_ns : restore->wait_end_ns;
}

int restore_add_wait(struct restore *restore, const struct stored_wait *wait)
{
    if (!restore_has_thread(restore, wait->thread)) {
        return -EBADMSG;
    }
    struct stored_wait own = *wait;
    order_wait(restore, &own);
    own.stack = restore_known_stack(restore, wait->stack);
    own.waker = restore_known_waker(restore, wait->waker);
    own.waker_stack = restore_known_stack(restore, wait->waker_stack);
    own.object = restore_known_object(restore, wait->object);
    own.flags &= WAIT_FLAG_APPROXIMATE | WAIT_FLAG_CUT;
    return wait_log_store(&restore->aggregate->wait_log, &own, WAIT_SUM_NONE);
}

int restore_add_reading(struct restore *restore, const struct stored_reading *reading)
{
    if (!restore_has_thread(restore, reading->thread)) {
        return -EBADMSG;
    }
    struct stored_reading *slot = chunked_add(&restore->aggregate->counters.readings);
    if (!slot) {
        return -ENOSPC;
    }
    uint64_t time_ns = restore_time_in_run(restore, reading->time_ns);
    restore->reading_ns = not_before(restore, time_ns, restore->reading_ns);
    *slot = *reading;
    slot->time_ns = restore->reading_ns;
    slot->stack = restore_known_stack(restore, reading->stack);
    return 0;
}

/* ---- sums over the whole run ---- */

int restore_add_pair(struct restore *restore, struct sample_pair pair, uint32_t count)
{
    struct aggregate *aggregate = restore->aggregate;
    if (!restore_has_thread(restore, pair.thread)) {
        return -EBADMSG;
    }
    size_t id = (size_t)aggregate->pairs.n_items;
    uint32_t *counts =
        restore_grow(aggregate->pair_counts, id, &aggregate->pair_counts_capacity, sizeof(*counts));
    if (!counts) {
        return -ENOMEM;
    }
    aggregate->pair_counts = counts;
    struct sample_pair *slot = chunked_add(&aggregate->pairs);
    if (!slot) {
        return -ENOSPC;
    }
    slot->thread = pair.thread;
    slot->stack = restore_known_stack(restore, pair.stack);
    slot->slice_class = at_most(restore, pair.slice_class, SLICE_CLASS_LONG);
    counts[id] = count;
    return 0;
}

bool restore_get_pair(const struct restore *restore, uint64_t number, struct sample_pair *ret_pair)
{
    const struct chunked *pairs = &restore->aggregate->pairs;
    if (number >= pairs->n_items) {
        return false;
    }
    *ret_pair = *(const struct sample_pair *)chunked_get(pairs, number);
    return true;
}

int restore_add_class(struct restore *restore, uint8_t slice_class, struct restore_class sums)
{
    struct aggregate *aggregate = restore->aggregate;
    if (slice_class >= SLICE_CLASS_N) {
        return -EBADMSG;
    }
    aggregate->class_ns[slice_class] = sums.ns;
    aggregate->class_slices[slice_class] = sums.n_slices;
    aggregate->class_samples[slice_class] = sums.n_samples;
    aggregate->class_met_ns[slice_class] = sums.met_ns;
    return 0;
}

int restore_add_wait_sums(struct restore *restore, const struct wait_sums *sums)
{
    struct wait_log *log = &restore->aggregate->wait_log;
    if (!restore_has_thread(restore, sums->thread)) {
        return -EBADMSG;
    }
    if (log->n_sums >= WAIT_SUMS_MAX) {
        return -ENOSPC;
    }
    struct wait_sums *grown =
        restore_grow(log->sums, log->n_sums, &log->sums_capacity, sizeof(*grown));
    if (!grown) {
        return -ENOMEM;
    }
    log->sums = grown;
    struct wait_sums *own = &log->sums[log->n_sums++];
    *own = *sums;
    own->stack = restore_known_stack(restore, sums->stack);
    own->flags &= WAIT_FLAG_APPROXIMATE | WAIT_FLAG_CUT;
    return 0;
}

int restore_add_wake_sums(struct restore *restore, const struct wake_sums *sums)
{
    struct wakers *wakers = &restore->aggregate->wakers;
    if (!restore_has_thread(restore, sums->wakee)) {
        return -EBADMSG;
    }
    if (wakers->n_sums >= WAKE_SUMS_MAX) {
        return -ENOSPC;
    }
    struct wake_sums *grown =
        restore_grow(wakers->sums, wakers->n_sums, &wakers->sums_capacity, sizeof(*grown));
    if (!grown) {
        return -ENOMEM;
    }
    wakers->sums = grown;
    struct wake_sums *own = &wakers->sums[wakers->n_sums++];
    *own = *sums;
    own->waker = restore_known_waker(restore, sums->waker);
    own->waker_stack = restore_known_stack(restore, sums->waker_stack);
    return 0;
}

int restore_add_counter_sums(struct restore *restore, const struct counter_sums *sums)
{
    struct counters *counters = &restore->aggregate->counters;
    if (!restore_has_thread(restore, sums->thread)) {
        return -EBADMSG;
    }
    if (counters->n_sums >= COUNTER_SUMS_MAX) {
        return -ENOSPC;
    }
    struct counter_sums *grown =
        restore_grow(counters->sums, counters->n_sums, &counters->sums_capacity, sizeof(*grown));
    if (!grown) {
        return -ENOMEM;
    }
    counters->sums = grown;
    struct counter_sums *own = &counters->sums[counters->n_sums++];
    *own = *sums;
    own->stack = restore_known_stack(restore, sums->stack);
    return 0;
}

int restore_add_counter_time(struct restore *restore, const struct counter_time *time)
{
    struct counters *counters = &restore->aggregate->counters;
    if (!restore_has_thread(restore, (thread_id)counters->n_times)) {
        return -EBADMSG;
    }
    struct counter_time *grown =
        restore_grow(counters->times, counters->n_times, &counters->times_capacity, sizeof(*grown));
    if (!grown) {
        return -ENOMEM;
    }
    counters->times = grown;
    counters->times[counters->n_times++] = *time;
    return 0;
}
