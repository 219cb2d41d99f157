/* SPDX-License-Identifier: MIT */
#include "aggregate/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggregate/aggregate_internal.h"
#include "aggregate/snapshot_spans.h"

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
            snapshot_spans_release(held);
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
            chunked_chunk_free(dropped->chunk, dropped->item_bytes);
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

/* Moves up to extra_ns out of *ret_gap_ns; returns how much it was. */
static uint64_t take_lag(uint64_t extra_ns, uint64_t *ret_gap_ns)
{
    uint64_t taken_ns = extra_ns < *ret_gap_ns ? extra_ns : *ret_gap_ns;
    *ret_gap_ns -= taken_ns;
    return taken_ns;
}

/* Gives each slice what the record of its start came too late, at the expense of the wait before
 * it: for a CPU where the thread was preempted, else for something. */
static void add_switch_lag(struct thread_totals *totals, uint64_t lag_ns)
{
    totals->cpu_ns += take_lag(lag_ns * totals->n_voluntary, &totals->blocked_ns) +
                      take_lag(lag_ns * totals->n_involuntary, &totals->runnable_ns);
}

/* What is still to be given to each slice; sums of what was saved have it. */
static uint64_t lag_to_add_ns(const struct aggregate *aggregate)
{
    return aggregate->is_restored ? 0 : aggregate->switch_lag.lag_ns;
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
        add_switch_lag(&threads[i], lag_to_add_ns(aggregate));
    }
}

static void copy_classes(struct aggregate *aggregate, struct snapshot *snapshot)
{
    uint64_t closed_ns = 0, cpu_ns = 0;
    for (size_t i = 0; i < SLICE_CLASS_N; i++) {
        snapshot->class_ns[i] =
            aggregate->class_ns[i] + lag_to_add_ns(aggregate) * aggregate->class_slices[i];
        snapshot->class_slices[i] = aggregate->class_slices[i];
        snapshot->class_samples[i] = aggregate->class_samples[i];
        snapshot->class_met_ns[i] = aggregate->class_met_ns[i];
        closed_ns += snapshot->class_ns[i];
    }
    for (size_t i = 0; i < snapshot->n_newest; i++) {
        uint8_t slice_class = snapshot->newest[i].slice_class;
        snapshot->class_samples[slice_class]++;
        snapshot->class_met_ns[slice_class] += snapshot->newest[i].period_ns;
    }
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        cpu_ns += snapshot->threads[i].cpu_ns;
    }
    /* A slice that is open counts as a long one, as do its samples. */
    snapshot->class_ns[SLICE_CLASS_LONG] += cpu_ns > closed_ns ? cpu_ns - closed_ns : 0;
}

/* What a snapshot copies lies in one block of memory, in this order. */
struct copies {
    size_t n_threads, n_newest, n_newest_waits, n_wait_sums, n_wake_sums, n_pairs;
    size_t n_counter_sums, n_counter_times;
    void *memory;
    struct thread_totals *threads;
    struct stored_sample *newest;
    struct stored_wait *newest_waits;
    struct wait_sums *wait_sums;
    struct wake_sums *wake_sums;
    struct counter_sums *counter_sums;
    struct counter_time *counter_times;
    void *spans;      /* see snapshot_spans.h */
    uint32_t *counts; /* of pairs, then of the newest samples */
};

/* Returns the room that `count` items take at *bytes, and moves on behind them. */
static size_t take_room(size_t *bytes, size_t count, size_t item_bytes)
{
    size_t at = *bytes;
    *bytes += (count * item_bytes + 15) / 16 * 16;
    return at;
}

static int make_room(const struct aggregate *aggregate, struct copies *ret_copies)
{
    struct copies copies = {
        .n_threads = thread_table_count(aggregate->threads),
        .n_newest = pending_samples_count(&aggregate->pending),
        .n_newest_waits = pending_waits_count(&aggregate->pending_waits),
        .n_wait_sums = aggregate->wait_log.n_sums,
        .n_wake_sums = aggregate->wakers.n_sums,
        .n_pairs = (size_t)aggregate->pairs.n_items,
        .n_counter_sums = aggregate->counters.n_sums,
        .n_counter_times = aggregate->counters.n_times,
    };
    size_t n_bytes = 0;
    size_t threads_at = take_room(&n_bytes, copies.n_threads, sizeof(*copies.threads));
    size_t newest_at = take_room(&n_bytes, copies.n_newest, sizeof(*copies.newest));
    size_t waits_at = take_room(&n_bytes, copies.n_newest_waits, sizeof(*copies.newest_waits));
    size_t wait_sums_at = take_room(&n_bytes, copies.n_wait_sums, sizeof(*copies.wait_sums));
    size_t wake_sums_at = take_room(&n_bytes, copies.n_wake_sums, sizeof(*copies.wake_sums));
    size_t counter_sums_at =
        take_room(&n_bytes, copies.n_counter_sums, sizeof(*copies.counter_sums));
    size_t counter_times_at =
        take_room(&n_bytes, copies.n_counter_times, sizeof(*copies.counter_times));
    size_t spans_at = take_room(&n_bytes, snapshot_spans_bytes(aggregate), 1);
    size_t counts_at =
        take_room(&n_bytes, copies.n_pairs + copies.n_newest, sizeof(*copies.counts));
    uint8_t *memory = malloc(n_bytes + 1);
    if (!memory) {
        return -ENOMEM;
    }
    copies.memory = memory;
    copies.threads = (void *)(memory + threads_at);
    copies.newest = (void *)(memory + newest_at);
    copies.newest_waits = (void *)(memory + waits_at);
    copies.wait_sums = (void *)(memory + wait_sums_at);
    copies.wake_sums = (void *)(memory + wake_sums_at);
    copies.counter_sums = (void *)(memory + counter_sums_at);
    copies.counter_times = (void *)(memory + counter_times_at);
    copies.spans = memory + spans_at;
    copies.counts = (void *)(memory + counts_at);
    *ret_copies = copies;
    return 0;
}

static void copy_pairs(const struct aggregate *aggregate, const struct copies *copies)
{
    pending_samples_copy(&aggregate->pending, copies->newest);
    if (copies->n_pairs > 0) {
        memcpy(copies->counts, aggregate->pair_counts, copies->n_pairs * sizeof(*copies->counts));
    }
    for (size_t i = 0; i < copies->n_newest; i++) {
        copies->counts[copies->n_pairs + i] = 1;
    }
}

static void copy_waits(const struct aggregate *aggregate, const struct copies *copies)
{
    uint64_t lag_ns = lag_to_add_ns(aggregate);
    if (copies->n_wait_sums > 0) {
        memcpy(copies->wait_sums, aggregate->wait_log.sums,
               copies->n_wait_sums * sizeof(*copies->wait_sums));
    }
    if (copies->n_wake_sums > 0) {
        memcpy(copies->wake_sums, aggregate->wakers.sums,
               copies->n_wake_sums * sizeof(*copies->wake_sums));
    }
    for (size_t i = 0; i < copies->n_newest_waits; i++) {
        const struct pending_wait *newest = pending_waits_at(&aggregate->pending_waits, i);
        copies->newest_waits[i] = newest->wait;
        uint64_t blocked_ns = newest->wait.wake_ns - newest->wait.start_ns;
        struct wait_sums *sum =
            newest->wait_sum != WAIT_SUM_NONE ? &copies->wait_sums[newest->wait_sum] : NULL;
        if (sum && blocked_ns > sum->max_blocked_ns) {
            sum->max_blocked_ns = blocked_ns;
        }
    }
    for (size_t i = 0; lag_ns > 0 && i < copies->n_wait_sums; i++) {
        struct wait_sums *sum = &copies->wait_sums[i];
        (void)take_lag(lag_ns * sum->n_waits, &sum->blocked_ns);
    }
    for (size_t i = 0; lag_ns > 0 && i < copies->n_wake_sums; i++) {
        struct wake_sums *sum = &copies->wake_sums[i];
        (void)take_lag(lag_ns * sum->n_wakeups, &sum->blocked_ns);
    }
}

static void copy_counters(const struct aggregate *aggregate, const struct copies *copies)
{
    const struct counters *counters = &aggregate->counters;
    if (copies->n_counter_sums > 0) {
        memcpy(copies->counter_sums, counters->sums,
               copies->n_counter_sums * sizeof(*copies->counter_sums));
    }
    if (copies->n_counter_times > 0) {
        memcpy(copies->counter_times, counters->times,
               copies->n_counter_times * sizeof(*copies->counter_times));
    }
}

struct snapshot *aggregate_snapshot(struct aggregate *aggregate, uint64_t now_ns)
{
    aggregate_sweep(aggregate);
    if (aggregate->has_ended) {
        now_ns = aggregate->end_ns;
    } else if (now_ns > aggregate->newest_ns) {
        /* That time has passed is news as well: answers with equal sequence are equal. */
        aggregate->newest_ns = now_ns;
        aggregate->sequence++;
    } else {
        now_ns = aggregate->newest_ns;
    }
    aggregate->lost[EVENT_LOST_QUEUE_FULL] += origin_links_settle(aggregate, false);
    struct copies copies;
    struct held_snapshot *held = calloc(1, sizeof(*held));
    if (!held || make_room(aggregate, &copies) != 0) {
        free(held);
        return NULL;
    }
    copy_threads(aggregate, copies.threads, copies.n_threads, now_ns);
    copy_pairs(aggregate, &copies);
    copy_waits(aggregate, &copies);
    copy_counters(aggregate, &copies);
    held->memory = copies.memory;
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
        .n_samples = aggregate->samples.n_items + copies.n_newest,
        .n_slices = aggregate->slices.n_items,
        .first_sample = aggregate->samples.first_item,
        .first_slice = aggregate->slices.first_item,
        .n_frames = frame_table_count(aggregate->frames),
        .n_stacks = stack_table_count(aggregate->stacks),
        .n_images = image_table_count(aggregate->images),
        .n_code_epochs = code_epochs_count(aggregate->code_epochs),
        .n_threads = copies.n_threads,
        .threads = copies.threads,
        .n_pairs = copies.n_pairs + copies.n_newest,
        .pair_counts = copies.counts,
        .n_kernel_samples = aggregate->n_kernel_samples,
        .has_own_periods = aggregate->has_own_periods,
        .n_newest = copies.n_newest,
        .newest = copies.newest,
        .n_waits = aggregate->wait_log.waits.n_items + copies.n_newest_waits,
        .first_wait = aggregate->wait_log.waits.first_item,
        .n_long_waits = aggregate->wait_log.long_waits.n_items,
        .first_long_wait = aggregate->wait_log.long_waits.first_item,
        .n_newest_waits = copies.n_newest_waits,
        .newest_waits = copies.newest_waits,
        .n_wait_sums = copies.n_wait_sums,
        .wait_sums = copies.wait_sums,
        .n_wake_sums = copies.n_wake_sums,
        .wake_sums = copies.wake_sums,
        .n_counter_sums = copies.n_counter_sums,
        .counter_sums = copies.counter_sums,
        .n_counter_times = copies.n_counter_times,
        .counter_times = copies.counter_times,
        .n_readings = aggregate->counters.readings.n_items,
        .first_reading = aggregate->counters.readings.first_item,
        .n_readings_dropped = aggregate->counters.n_turned_away + aggregate->counters.n_decreased,
        .n_outsiders = (uint32_t)aggregate->wakers.outsiders.n_items,
        .n_wait_objects = (uint32_t)aggregate->wait_objects.objects.n_items,
        .n_wait_stacks_unknown = aggregate->n_wait_stacks_unknown,
        .n_wait_details_full =
            aggregate->wait_objects.n_turned_away + aggregate->wakers.n_turned_away,
        .n_wakeups = aggregate->n_wakeups,
        .n_stacks_truncated = aggregate->n_stacks_truncated,
        .n_stacks_empty = aggregate->n_stacks_empty,
        .n_missed_switches = thread_table_missed_switches(aggregate->threads),
        .switch_lag_ns = aggregate->switch_lag.lag_ns,
        .has_no_switches = aggregate->config.has_no_switches,
        .memory_bytes = aggregate_memory_bytes(aggregate),
    };
    memcpy(held->snapshot.lost, aggregate->lost, sizeof(aggregate->lost));
    copy_classes(aggregate, &held->snapshot);
    snapshot_spans_copy(aggregate, held, copies.spans);
    return &held->snapshot;
}

struct frame snapshot_frame(const struct snapshot *snapshot, frame_id id)
{
    return frame_table_get(snapshot->aggregate->frames, id);
}

struct epoch_span snapshot_code_epoch(const struct snapshot *snapshot, uint32_t code_epoch)
{
    const struct code_epoch *epoch = code_epochs_get(snapshot->aggregate->code_epochs, code_epoch);
    uint64_t to_ns = atomic_load_explicit(&epoch->to_ns, memory_order_relaxed);
    bool goes_on = to_ns == 0 || to_ns > snapshot->now_ns;
    return (struct epoch_span){
        .pid = epoch->pid,
        .from_ns = epoch->from_ns,
        .to_ns = goes_on ? snapshot->now_ns : to_ns,
    };
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
    size_t n_stored = snapshot->n_pairs - snapshot->n_newest;
    if (index >= n_stored) {
        const struct stored_sample *sample = &snapshot->newest[index - n_stored];
        return (struct sample_pair){
            .thread = sample->thread,
            .stack = sample->stack,
            .slice_class = sample->slice_class,
        };
    }
    return *(const struct sample_pair *)chunked_get(&snapshot->aggregate->pairs, index);
}

const struct stored_sample *snapshot_sample(const struct snapshot *snapshot, uint64_t index)
{
    uint64_t n_stored = snapshot->n_samples - snapshot->n_newest;
    return index < n_stored ? chunked_get(&snapshot->aggregate->samples, index)
                            : &snapshot->newest[index - n_stored];
}

const struct stored_slice *snapshot_slice(const struct snapshot *snapshot, uint64_t index)
{
    return chunked_get(&snapshot->aggregate->slices, index);
}

const struct stored_wait *snapshot_wait(const struct snapshot *snapshot, uint64_t index)
{
    uint64_t n_stored = snapshot->n_waits - snapshot->n_newest_waits;
    return index < n_stored ? chunked_get(&snapshot->aggregate->wait_log.waits, index)
                            : &snapshot->newest_waits[index - n_stored];
}

const struct stored_reading *snapshot_reading(const struct snapshot *snapshot, uint64_t index)
{
    return chunked_get(&snapshot->aggregate->counters.readings, index);
}

struct outsider snapshot_outsider(const struct snapshot *snapshot, waker_id waker)
{
    return wakers_get_outsider(&snapshot->aggregate->wakers, waker);
}

const char *snapshot_named_place(const struct snapshot *snapshot, uint64_t offset)
{
    return name_table_get(&snapshot->aggregate->sites, (uint32_t)offset);
}

struct wait_object snapshot_wait_object(const struct snapshot *snapshot, wait_object_id object)
{
    return wait_objects_get(&snapshot->aggregate->wait_objects, object);
}
