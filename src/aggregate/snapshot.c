/* SPDX-License-Identifier: MIT */
#include "aggregate/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "aggregate/aggregate_internal.h"

static struct held_snapshot *held_of(struct snapshot *snapshot)
{
    return (struct held_snapshot *)snapshot;
}

struct snapshot *snapshot_ref(struct snapshot *snapshot)
{
    atomic_fetch_add_explicit(&held_of(snapshot)->n_references, 1, memory_order_relaxed);
    return snapshot;
}

/* The last reader only says that it is done: the aggregator frees, see aggregate_sweep(). */
struct snapshot *snapshot_unref(struct snapshot *snapshot)
{
    if (snapshot) {
        atomic_fetch_sub_explicit(&held_of(snapshot)->n_references, 1, memory_order_release);
    }
    return NULL;
}

void aggregate_sweep(struct aggregate *aggregate)
{
    uint64_t oldest_number = UINT64_MAX;
    for (struct held_snapshot **link = &aggregate->snapshots; *link;) {
        struct held_snapshot *held = *link;
        if (atomic_load_explicit(&held->n_references, memory_order_acquire) == 0) {
            *link = held->next;
            free(held->memory);
            free(held);
            continue;
        }
        oldest_number = held->number < oldest_number ? held->number : oldest_number;
        link = &held->next;
    }
    for (struct dropped_chunk **link = &aggregate->dropped; *link;) {
        struct dropped_chunk *dropped = *link;
        if (dropped->number < oldest_number) {
            *link = dropped->next;
            free(dropped->chunk);
            free(dropped);
            continue;
        }
        link = &dropped->next;
    }
}

/* Adds the phase that is still open to a thread's sums. */
static void add_open_phase(struct thread_totals *totals, uint64_t now_ns)
{
    if (now_ns <= totals->phase_since_ns) {
        return;
    }
    uint64_t length_ns = now_ns - totals->phase_since_ns;
    switch (totals->phase) {
    case THREAD_PHASE_RUNNING:
        totals->cpu_ns += length_ns;
        break;
    case THREAD_PHASE_RUNNABLE:
        totals->runnable_ns += length_ns;
        break;
    case THREAD_PHASE_BLOCKED:
    case THREAD_PHASE_UNKNOWN: /* not seen on a CPU so far */
        totals->blocked_ns += length_ns;
        break;
    case THREAD_PHASE_GONE:
        break;
    }
}

/* Gives each slice what the record of its start came too late, at the expense of the wait before
 * it. */
static void add_switch_lag(struct thread_totals *totals, uint64_t lag_ns)
{
    uint64_t extra_ns = lag_ns * (totals->n_voluntary + totals->n_involuntary);
    uint64_t from_blocked_ns = extra_ns < totals->blocked_ns ? extra_ns : totals->blocked_ns;
    uint64_t rest_ns = extra_ns - from_blocked_ns;
    uint64_t from_runnable_ns = rest_ns < totals->runnable_ns ? rest_ns : totals->runnable_ns;
    totals->blocked_ns -= from_blocked_ns;
    totals->runnable_ns -= from_runnable_ns;
    totals->cpu_ns += from_blocked_ns + from_runnable_ns;
}

static void copy_threads(struct aggregate *aggregate, struct thread_totals *threads,
                         size_t n_threads, uint64_t now_ns)
{
    for (size_t i = 0; i < n_threads; i++) {
        const struct thread *thread = thread_table_at(aggregate->threads, (thread_id)i);
        threads[i] = thread->totals;
        bool has_waited =
            thread->totals.phase == THREAD_PHASE_RUNNING && thread->gap_before == GAP_RUNNABLE;
        threads[i].waited_since_ns =
            has_waited ? thread->gap_start_ns : thread->totals.phase_since_ns;
        if (!aggregate->has_ended && !aggregate->config.has_no_switches) {
            add_open_phase(&threads[i], now_ns);
        }
        add_switch_lag(&threads[i], aggregate->switch_lag.lag_ns);
    }
}

struct snapshot *aggregate_snapshot(struct aggregate *aggregate, uint64_t now_ns)
{
    aggregate_sweep(aggregate);
    size_t n_threads = thread_table_count(aggregate->threads);
    size_t n_pairs = (size_t)aggregate->pairs.n_items;
    size_t threads_bytes = n_threads * sizeof(struct thread_totals);
    size_t counts_bytes = n_pairs * sizeof(uint32_t);
    struct held_snapshot *held = calloc(1, sizeof(*held));
    void *memory = malloc(threads_bytes + counts_bytes + 1);
    if (!held || !memory) {
        free(held);
        free(memory);
        return NULL;
    }
    if (aggregate->has_ended) {
        now_ns = aggregate->end_ns;
    } else if (now_ns > aggregate->newest_ns) {
        /* That time has passed is news as well: answers with equal sequence are equal. */
        aggregate->newest_ns = now_ns;
        aggregate->sequence++;
    } else {
        now_ns = aggregate->newest_ns;
    }
    copy_threads(aggregate, memory, n_threads, now_ns);
    uint32_t *counts = (uint32_t *)(void *)((uint8_t *)memory + threads_bytes);
    if (n_pairs > 0) {
        memcpy(counts, aggregate->pair_counts, counts_bytes);
    }
    held->memory = memory;
    held->number = ++aggregate->n_snapshots;
    held->n_references = 1;
    held->next = aggregate->snapshots;
    aggregate->snapshots = held;
    held->snapshot = (struct snapshot){
        .aggregate = aggregate,
        .sequence = aggregate->sequence,
        .start_ns = aggregate->start_ns,
        .now_ns = now_ns,
        .folded_until_ns = aggregate->folded_until_ns,
        .n_samples = aggregate->samples.n_items,
        .n_slices = aggregate->slices.n_items,
        .first_sample = aggregate->samples.first_item,
        .first_slice = aggregate->slices.first_item,
        .n_frames = frame_table_count(aggregate->frames),
        .n_stacks = stack_table_count(aggregate->stacks),
        .n_images = image_table_count(aggregate->images),
        .n_threads = n_threads,
        .threads = memory,
        .n_pairs = n_pairs,
        .pair_counts = counts,
        .n_wakeups = aggregate->n_wakeups,
        .n_stacks_truncated = aggregate->n_stacks_truncated,
        .n_stacks_empty = aggregate->n_stacks_empty,
        .n_missed_switches = thread_table_missed_switches(aggregate->threads),
        .switch_lag_ns = aggregate->switch_lag.lag_ns,
        .has_no_switches = aggregate->config.has_no_switches,
        .memory_bytes = aggregate_memory_bytes(aggregate),
    };
    memcpy(held->snapshot.lost, aggregate->lost, sizeof(aggregate->lost));
    return &held->snapshot;
}

struct frame snapshot_frame(const struct snapshot *snapshot, frame_id id)
{
    return frame_table_get(snapshot->aggregate->frames, id);
}

struct stack_node snapshot_stack(const struct snapshot *snapshot, stack_id id)
{
    return stack_table_get(snapshot->aggregate->stacks, id);
}

const struct image *snapshot_image(const struct snapshot *snapshot, image_id id)
{
    return image_table_get(snapshot->aggregate->images, id);
}

struct sample_pair snapshot_pair(const struct snapshot *snapshot, size_t index)
{
    return *(const struct sample_pair *)chunked_get(&snapshot->aggregate->pairs, index);
}

const struct stored_sample *snapshot_sample(const struct snapshot *snapshot, uint64_t index)
{
    return chunked_get(&snapshot->aggregate->samples, index);
}

const struct stored_slice *snapshot_slice(const struct snapshot *snapshot, uint64_t index)
{
    return chunked_get(&snapshot->aggregate->slices, index);
}
