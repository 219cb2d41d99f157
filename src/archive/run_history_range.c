/* SPDX-License-Identifier: MIT */
/*
 * A part of a run as a run of its own: all that ids point to, the records that
 * touch the part, cut at its ends, and sums of just these. What a sample weighs
 * is known of the whole run only (query/sample_weight.h) and taken along, as a
 * view of the part does.
 */
#include <errno.h>
#include <stdlib.h>

#include "aggregate/restore.h"
#include "aggregate/wait_cursor.h"
#include "archive/run_history.h"
#include "query/thread_range.h"

/* A thread as it was when the part ended. */
struct last_state {
    uint64_t n_samples, period_ns, sampled_ns;
    uint64_t slice_end_ns; /* of its newest slice in the part; 0: none */
    bool is_known;         /* by the slice after that: */
    enum thread_phase phase;
};

struct freezing {
    const struct snapshot *snapshot;
    uint64_t from_ns, to_ns;
    struct restore *restore;
    struct thread_share *shares;
    struct last_state *last;
    uint64_t first_sample, end_sample, first_slice, end_slice;
    uint64_t n_wakeups;
};

static uint64_t clip(const struct freezing *freezing, uint64_t time_ns)
{
    if (time_ns < freezing->from_ns) {
        return freezing->from_ns;
    }
    return time_ns > freezing->to_ns ? freezing->to_ns : time_ns;
}

/* ---- which records ---- */

static uint64_t first_sample_at(const struct snapshot *snapshot, uint64_t time_ns)
{
    uint64_t low = snapshot->first_sample, high = snapshot->n_samples;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (snapshot_sample(snapshot, middle)->time_ns >= time_ns) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static uint64_t first_slice_after(const struct snapshot *snapshot, uint64_t time_ns)
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

/* Neither a slice nor a wait for a CPU before it lasts longer than STORED_SLICE_MAX_NS: what each
 * thread does when the part ends is told by a slice that ends at most twice that later. */
static void choose_records(struct freezing *freezing)
{
    const struct snapshot *snapshot = freezing->snapshot;
    freezing->first_sample = first_sample_at(snapshot, freezing->from_ns);
    freezing->end_sample = first_sample_at(snapshot, freezing->to_ns);
    freezing->first_slice = first_slice_after(snapshot, freezing->from_ns);
    freezing->end_slice = first_slice_after(snapshot, freezing->to_ns + 2 * STORED_SLICE_MAX_NS);
}

static void note_slice(struct freezing *freezing, const struct stored_slice *slice)
{
    struct last_state *last = &freezing->last[slice->thread];
    if (slice->end_ns <= freezing->to_ns) {
        last->slice_end_ns = slice->end_ns;
    } else if (!last->is_known) {
        last->is_known = true;
        last->phase = THREAD_PHASE_BLOCKED;
        if (slice->start_ns < freezing->to_ns) {
            last->phase = THREAD_PHASE_RUNNING;
        } else if (slice->before == GAP_RUNNABLE) {
            last->phase = THREAD_PHASE_RUNNABLE;
        }
    }
}

static void look_at_threads(struct freezing *freezing)
{
    const struct snapshot *snapshot = freezing->snapshot;
    for (uint64_t i = freezing->first_sample; i < freezing->end_sample; i++) {
        const struct stored_sample *sample = snapshot_sample(snapshot, i);
        struct last_state *last = &freezing->last[sample->thread];
        last->n_samples++;
        last->period_ns = sample->period_ns;
        last->sampled_ns += sample->period_ns;
    }
    for (uint64_t i = freezing->first_slice; i < freezing->end_slice; i++) {
        note_slice(freezing, snapshot_slice(snapshot, i));
    }
}

static int measure_threads(struct freezing *freezing)
{
    struct arena arena;
    arena_init(&arena, 0);
    const struct query_context context = {.snapshot = (struct snapshot *)freezing->snapshot,
                                          .arena = &arena};
    for (size_t i = 0; i < freezing->snapshot->n_threads; i++) {
        const struct thread_totals *totals = &freezing->snapshot->threads[i];
        freezing->shares[i].is_in_view =
            totals->start_ns < freezing->to_ns &&
            (totals->end_ns == 0 || totals->end_ns >= freezing->from_ns);
    }
    int r =
        freezing->snapshot->has_no_switches
            ? 0
            : thread_range_compute(&context, freezing->from_ns, freezing->to_ns, freezing->shares);
    arena_release(&arena);
    return r;
}

/* ---- tables ---- */

static int copy_places(struct freezing *freezing)
{
    const struct snapshot *snapshot = freezing->snapshot;
    uint64_t n_places = 0;
    int r = 0;
    for (image_id i = IMAGE_ID_FIRST; i < snapshot->n_images && r == 0; i++) {
        r = restore_add_image(freezing->restore, snapshot_image(snapshot, i));
    }
    for (uint32_t i = 1; i < snapshot->n_code_epochs && r == 0; i++) {
        struct epoch_span span = snapshot_code_epoch(snapshot, i);
        span.from_ns = span.from_ns < freezing->to_ns ? span.from_ns : freezing->to_ns;
        r = restore_add_code_epoch(freezing->restore, &span);
    }
    for (frame_id i = 0; i < snapshot->n_frames && r == 0; i++) {
        struct frame frame = snapshot_frame(snapshot, i);
        for (; frame.image == IMAGE_ID_NAMED && n_places <= frame.offset && r == 0; n_places++) {
            r = restore_add_named_place(freezing->restore,
                                        snapshot_named_place(snapshot, n_places));
        }
        r = r ? r : restore_add_frame(freezing->restore, frame);
    }
    for (stack_id i = 1; i < snapshot->n_stacks && r == 0; i++) {
        r = restore_add_stack(freezing->restore, snapshot_stack(snapshot, i));
    }
    return r;
}

static int copy_partners(struct freezing *freezing)
{
    const struct snapshot *snapshot = freezing->snapshot;
    int r = 0;
    for (uint32_t i = 0; i < snapshot->n_outsiders && r == 0; i++) {
        r = restore_add_outsider(freezing->restore,
                                 snapshot_outsider(snapshot, WAKER_ID_OUTSIDER | i));
    }
    for (wait_object_id i = 1; i < snapshot->n_wait_objects && r == 0; i++) {
        const struct wait_object object = snapshot_wait_object(snapshot, i);
        r = restore_add_wait_object(freezing->restore, &object);
    }
    return r;
}

/* The phase that was open when the part ended, as far as it lies in it. */
static void set_phase(const struct freezing *freezing, const struct last_state *last,
                      struct thread_totals *totals)
{
    bool is_gone = totals->end_ns != 0 && totals->end_ns <= freezing->to_ns;
    bool is_open = totals->phase_since_ns < freezing->to_ns && totals->end_ns == 0;
    if (totals->start_ns >= freezing->to_ns) {
        totals->end_ns = freezing->to_ns; /* it was not there yet */
        is_gone = true;
    }
    if (is_gone) {
        totals->end_ns = clip(freezing, totals->end_ns);
        totals->phase = THREAD_PHASE_GONE;
    } else {
        totals->end_ns = 0;
    }
    if (!is_gone && !is_open) {
        totals->phase = last->is_known ? last->phase : THREAD_PHASE_BLOCKED;
        totals->phase_since_ns = totals->waited_since_ns = freezing->to_ns;
        if (totals->phase == THREAD_PHASE_RUNNABLE) {
            totals->phase_since_ns = last->slice_end_ns;
        }
        totals->wait_stack = STACK_ID_EMPTY;
        totals->wait_object = 0;
        totals->wait_flags = 0;
    }
    totals->start_ns = clip(freezing, totals->start_ns);
    totals->phase_since_ns = clip(freezing, totals->phase_since_ns);
    totals->waited_since_ns = clip(freezing, totals->waited_since_ns);
}

static int copy_threads(struct freezing *freezing)
{
    const struct snapshot *snapshot = freezing->snapshot;
    int r = 0;
    for (size_t i = 0; i < snapshot->n_threads && r == 0; i++) {
        const struct last_state *last = &freezing->last[i];
        const struct thread_share *share = &freezing->shares[i];
        struct thread_totals totals = snapshot->threads[i];
        set_phase(freezing, last, &totals);
        totals.cpu_ns = snapshot->has_no_switches ? last->sampled_ns : share->cpu_ns;
        totals.blocked_ns = share->blocked_ns;
        totals.runnable_ns = share->runnable_ns;
        totals.n_voluntary = share->n_voluntary;
        totals.n_involuntary = share->n_involuntary;
        totals.n_samples = last->n_samples;
        totals.period_ns = last->n_samples > 0 ? last->period_ns : totals.period_ns;
        r = restore_add_thread(freezing->restore, &totals);
    }
    return r;
}

/* ---- records and their sums ---- */

static int copy_samples(struct freezing *freezing)
{
    const struct snapshot *snapshot = freezing->snapshot;
    int r = 0;
    for (uint64_t i = freezing->first_sample; i < freezing->end_sample && r == 0; i++) {
        const struct stored_sample *sample = snapshot_sample(snapshot, i);
        r = restore_count_sample(freezing->restore,
                                 (struct sample_pair){.thread = sample->thread,
                                                      .stack = sample->stack,
                                                      .slice_class = sample->slice_class});
        r = r ? r : restore_add_sample(freezing->restore, sample);
    }
    for (uint8_t i = 0; i < SLICE_CLASS_N && r == 0; i++) {
        r = restore_add_class(freezing->restore, i,
                              (struct restore_class){.ns = snapshot->class_ns[i],
                                                     .n_slices = snapshot->class_slices[i],
                                                     .n_samples = snapshot->class_samples[i],
                                                     .met_ns = snapshot->class_met_ns[i]});
    }
    return r;
}

/* Those that go on behind the part come last, whatever their ends were. */
static int copy_slices(struct freezing *freezing)
{
    int r = 0;
    for (int turn = 0; turn < 2; turn++) {
        for (uint64_t i = freezing->first_slice; i < freezing->end_slice && r == 0; i++) {
            struct stored_slice slice = *snapshot_slice(freezing->snapshot, i);
            bool goes_on = slice.end_ns > freezing->to_ns;
            if (slice.start_ns >= freezing->to_ns || goes_on != (turn == 1)) {
                continue;
            }
            slice.before = slice.start_ns < freezing->from_ns ? GAP_NONE : slice.before;
            slice.after = goes_on ? GAP_NONE : slice.after;
            slice.start_ns = clip(freezing, slice.start_ns);
            slice.end_ns = clip(freezing, slice.end_ns);
            r = restore_add_slice(freezing->restore, &slice);
        }
    }
    return r;
}

/* As views of a range sum waits up (query/wait_shares.h, query/wake_pairs.h). */
static int count_wait(struct freezing *freezing, const struct stored_wait *wait)
{
    uint64_t from_ns = freezing->from_ns, to_ns = freezing->to_ns;
    uint64_t lag_ns = freezing->snapshot->switch_lag_ns, length_ns = wait->end_ns - wait->start_ns;
    uint64_t end_ns = wait->end_ns - (lag_ns < length_ns ? lag_ns : length_ns);
    uint64_t wake_ns = wait->wake_ns < end_ns ? wait->wake_ns : end_ns;
    uint64_t blocked_ns = wait_overlap_ns(wait->start_ns, wake_ns, from_ns, to_ns);
    int r = 0;
    if (blocked_ns > 0) {
        const struct wait_sums sums = {
            .thread = wait->thread,
            .stack = wait->stack,
            .flags = wait->flags,
            .n_waits = 1,
            .blocked_ns = blocked_ns,
            .runnable_ns = wait_overlap_ns(wake_ns, end_ns, from_ns, to_ns),
            .max_blocked_ns = blocked_ns + lag_ns, /* of the longest it is taken off later */
        };
        r = restore_count_wait(freezing->restore, &sums);
    }
    if (r == 0 && wake_ns >= from_ns && wake_ns < to_ns) {
        const struct wake_sums sums = {
            .waker = wait->waker,
            .wakee = wait->thread,
            .waker_stack = wait->waker_stack,
            .n_wakeups = 1,
            .blocked_ns = wake_ns - wait->start_ns,
            .runnable_ns = end_ns - wake_ns,
        };
        r = restore_count_wakeup(freezing->restore, &sums);
    }
    return r;
}

/* As copy_slices(). */
static int copy_waits(struct freezing *freezing)
{
    int r = 0;
    for (int turn = 0; turn < 2; turn++) {
        struct wait_cursor cursor =
            wait_cursor_begin(freezing->snapshot, freezing->from_ns, freezing->to_ns);
        for (const struct stored_wait *wait = wait_cursor_next(&cursor); wait && r == 0;
             wait = wait_cursor_next(&cursor)) {
            bool goes_on = wait->end_ns > freezing->to_ns;
            if (goes_on != (turn == 1)) {
                continue;
            }
            struct stored_wait own = *wait;
            own.start_ns = clip(freezing, wait->start_ns);
            own.wake_ns = clip(freezing, wait->wake_ns);
            own.end_ns = clip(freezing, wait->end_ns);
            r = count_wait(freezing, wait);
            r = r ? r : restore_add_wait(freezing->restore, &own);
        }
    }
    return r;
}

static int copy_readings(struct freezing *freezing)
{
    const struct snapshot *snapshot = freezing->snapshot;
    struct counter_time *times = calloc(snapshot->n_threads + 1, sizeof(*times));
    int r = times ? 0 : -ENOMEM;
    for (uint64_t i = snapshot->first_reading; i < snapshot->n_readings && r == 0; i++) {
        const struct stored_reading *reading = snapshot_reading(snapshot, i);
        if (reading->time_ns < freezing->from_ns || reading->time_ns >= freezing->to_ns) {
            continue;
        }
        times[reading->thread].enabled_ns += reading->enabled_ns;
        times[reading->thread].running_ns += reading->running_ns;
        r = restore_count_reading(freezing->restore, reading);
        r = r ? r : restore_add_reading(freezing->restore, reading);
    }
    for (size_t i = 0; i < snapshot->n_counter_times && r == 0; i++) {
        times[i].tail_ns = snapshot->counter_times[i].tail_ns;
        times[i].longest_ns = snapshot->counter_times[i].longest_ns;
        r = restore_add_counter_time(freezing->restore, &times[i]);
    }
    free(times);
    return r;
}

/* ---- all of it ---- */

/* Those whose waker was told and whose wait ended in the part. */
static void count_wakeups(struct freezing *freezing)
{
    struct wait_cursor cursor =
        wait_cursor_begin(freezing->snapshot, freezing->from_ns, freezing->to_ns);
    for (const struct stored_wait *wait = wait_cursor_next(&cursor); wait;
         wait = wait_cursor_next(&cursor)) {
        freezing->n_wakeups += wait->waker != WAKER_ID_UNKNOWN &&
                               wait->wake_ns >= freezing->from_ns &&
                               wait->wake_ns < freezing->to_ns;
    }
}

static int begin(struct freezing *freezing)
{
    const struct snapshot *snapshot = freezing->snapshot;
    struct restore_run run = {
        .sequence = snapshot->sequence,
        .start_ns = freezing->from_ns,
        .now_ns = freezing->to_ns,
        .n_kernel_samples = snapshot->n_kernel_samples,
        .n_wait_stacks_unknown = snapshot->n_wait_stacks_unknown,
        .n_wait_details_full = snapshot->n_wait_details_full,
        .n_readings_dropped = snapshot->n_readings_dropped,
        .n_wakeups = freezing->n_wakeups,
        .n_stacks_truncated = snapshot->n_stacks_truncated,
        .n_stacks_empty = snapshot->n_stacks_empty,
        .n_missed_switches = snapshot->n_missed_switches,
        .switch_lag_ns = snapshot->switch_lag_ns,
        .has_no_switches = snapshot->has_no_switches,
    };
    for (size_t i = 0; i < EVENT_LOST_CAUSE_N; i++) {
        run.lost[i] = snapshot->lost[i];
    }
    if (snapshot->folded_until_ns > freezing->from_ns) {
        run.folded_until_ns = clip(freezing, snapshot->folded_until_ns);
    }
    const struct aggregate_config config = {0};
    return restore_begin(&config, &run, &freezing->restore);
}

static int freeze(struct freezing *freezing)
{
    choose_records(freezing);
    look_at_threads(freezing);
    count_wakeups(freezing);
    int r = measure_threads(freezing);
    r = r ? r : begin(freezing);
    r = r ? r : copy_places(freezing);
    r = r ? r : copy_partners(freezing);
    r = r ? r : copy_threads(freezing);
    r = r ? r : copy_samples(freezing);
    r = r ? r : copy_slices(freezing);
    r = r ? r : copy_waits(freezing);
    return r ? r : copy_readings(freezing);
}

static void freezing_release(struct freezing *freezing)
{
    restore_free(freezing->restore);
    free(freezing->shares);
    free(freezing->last);
}
DEFINE_RELEASEP(freezing);

int run_history_freeze(const struct snapshot *snapshot, uint64_t from_ns, uint64_t to_ns,
                       struct aggregate **ret_aggregate)
{
    from_ns = from_ns > snapshot->start_ns ? from_ns : snapshot->start_ns;
    to_ns = to_ns < snapshot->now_ns ? to_ns : snapshot->now_ns;
    if (from_ns >= to_ns) {
        return -EINVAL;
    }
    _cleanup_(freezing_releasep) struct freezing freezing = {
        .snapshot = snapshot,
        .from_ns = from_ns,
        .to_ns = to_ns,
        .shares = calloc(snapshot->n_threads + 1, sizeof(*freezing.shares)),
        .last = calloc(snapshot->n_threads + 1, sizeof(*freezing.last)),
    };
    int r = freezing.shares && freezing.last ? freeze(&freezing) : -ENOMEM;
    if (r == 0) {
        *ret_aggregate = restore_end(freezing.restore);
    }
    return r;
}
