/* SPDX-License-Identifier: MIT */
/*
 * Slices are stored in the order of their ends, and neither they nor the waits
 * for a CPU before them last longer than STORED_SLICE_MAX_NS: those that can
 * touch the range lie between the first that ends after it begins and the last
 * that ends twice as much after it ends. What a thread waited for a CPU after it
 * was woken is part of a wait, and read from there.
 */
#include "query/thread_range.h"

#include <errno.h>

#include "aggregate/wait_cursor.h"

struct life {
    uint64_t last_end_ns; /* of its newest slice in the range; 0: none yet */
};

static uint64_t overlap_ns(uint64_t start_ns, uint64_t end_ns, uint64_t from_ns, uint64_t to_ns)
{
    uint64_t first_ns = start_ns > from_ns ? start_ns : from_ns;
    uint64_t last_ns = end_ns < to_ns ? end_ns : to_ns;
    return last_ns > first_ns ? last_ns - first_ns : 0;
}

/* The first stored slice that ends after time_ns. */
static uint64_t first_ending_after(const struct snapshot *snapshot, uint64_t time_ns)
{
    uint64_t low = snapshot->first_slice, high = snapshot->n_slices;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (snapshot_slice(snapshot, middle)->end_ns > time_ns) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* Time between two slices that the thread wanted to run. */
static void add_gap(struct thread_share *share, const struct life *life, uint64_t until_ns,
                    uint64_t from_ns, uint64_t to_ns, uint64_t born_ns)
{
    uint64_t since_ns = life->last_end_ns ? life->last_end_ns : born_ns;
    share->runnable_ns += overlap_ns(since_ns, until_ns, from_ns, to_ns);
}

static void add_slice(const struct stored_slice *slice, const struct thread_totals *totals,
                      uint64_t from_ns, uint64_t to_ns, uint64_t lag_ns, struct thread_share *share,
                      struct life *life)
{
    uint64_t start_ns = slice->start_ns;
    bool is_mark = slice->start_ns == slice->end_ns; /* of a long wait for a CPU: nothing ran */
    if (slice->before != GAP_NONE && !is_mark) {
        uint64_t earliest_ns = life->last_end_ns ? life->last_end_ns : totals->start_ns;
        start_ns = start_ns > earliest_ns + lag_ns ? start_ns - lag_ns : earliest_ns;
    }
    if (slice->before == GAP_RUNNABLE) {
        add_gap(share, life, start_ns, from_ns, to_ns, totals->start_ns);
    }
    share->cpu_ns += overlap_ns(start_ns, slice->end_ns, from_ns, to_ns);
    if (slice->end_ns <= to_ns) {
        share->n_voluntary += slice->after == GAP_BLOCKED;
        share->n_involuntary += slice->after == GAP_RUNNABLE;
    }
    life->last_end_ns = slice->end_ns;
}

/* From wakeup to running: what waits say. */
static void add_woken(const struct snapshot *snapshot, uint64_t from_ns, uint64_t to_ns,
                      struct thread_share *threads)
{
    struct wait_cursor cursor = wait_cursor_begin(snapshot, from_ns, to_ns);
    for (const struct stored_wait *wait = wait_cursor_next(&cursor); wait;
         wait = wait_cursor_next(&cursor)) {
        /* The slice behind it begins that much earlier than it was recorded. */
        uint64_t length_ns = wait->end_ns - wait->start_ns;
        uint64_t lag_ns = snapshot->switch_lag_ns;
        uint64_t end_ns = wait->end_ns - (lag_ns < length_ns ? lag_ns : length_ns);
        if (threads[wait->thread].is_in_view) {
            threads[wait->thread].runnable_ns += overlap_ns(wait->wake_ns, end_ns, from_ns, to_ns);
        }
    }
}

/* The phase that is open at the snapshot, and from it all the time that is left. */
static void close_thread(const struct snapshot *snapshot, const struct thread_totals *totals,
                         uint64_t from_ns, uint64_t to_ns, struct thread_share *share)
{
    uint64_t end_ns = totals->end_ns ? totals->end_ns : snapshot->now_ns;
    if (totals->phase == THREAD_PHASE_RUNNING) {
        share->cpu_ns += overlap_ns(totals->phase_since_ns, snapshot->now_ns, from_ns, to_ns);
        share->runnable_ns +=
            overlap_ns(totals->waited_since_ns, totals->phase_since_ns, from_ns, to_ns);
    } else if (totals->phase == THREAD_PHASE_RUNNABLE) {
        share->runnable_ns += overlap_ns(totals->phase_since_ns, end_ns, from_ns, to_ns);
    }
    uint64_t alive_ns = overlap_ns(totals->start_ns, end_ns, from_ns, to_ns);
    uint64_t busy_ns = share->cpu_ns + share->runnable_ns;
    share->blocked_ns = alive_ns > busy_ns ? alive_ns - busy_ns : 0;
}

int thread_range_compute(const struct query_context *context, uint64_t from_ns, uint64_t to_ns,
                         struct thread_share *threads)
{
    const struct snapshot *snapshot = context->snapshot;
    struct life *lives = arena_alloc_array(context->arena, snapshot->n_threads, sizeof(*lives));
    if (!lives) {
        return -ENOMEM;
    }
    uint64_t index = first_ending_after(snapshot, from_ns);
    for (; index < snapshot->n_slices; index++) {
        const struct stored_slice *slice = snapshot_slice(snapshot, index);
        if (slice->end_ns > to_ns && slice->end_ns - to_ns > 2 * STORED_SLICE_MAX_NS) {
            break;
        }
        if (threads[slice->thread].is_in_view) {
            add_slice(slice, &snapshot->threads[slice->thread], from_ns, to_ns,
                      snapshot->switch_lag_ns, &threads[slice->thread], &lives[slice->thread]);
        }
    }
    add_woken(snapshot, from_ns, to_ns, threads);
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        if (threads[i].is_in_view) {
            close_thread(snapshot, &snapshot->threads[i], from_ns, to_ns, &threads[i]);
        }
    }
    return 0;
}
