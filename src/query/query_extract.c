/* SPDX-License-Identifier: MIT */
/*
 * The sums of a range are asked for as every view does it (attribution, wait
 * shares, wake pairs, range by thread), so that there is one way to count them.
 * How late switches were told (aggregate/switch_lag.h) is taken off the records:
 * in the part they stand as every view of the run sees them.
 */
#include "query/query_extract.h"

#include <errno.h>
#include <string.h>

#include "aggregate/restore.h"
#include "aggregate/wait_cursor.h"
#include "query/attribution.h"
#include "query/extract_spans.h"
#include "query/wake_pairs.h"

/* A slice of a thread that runs is cut into pieces of this length. */
#define OPEN_PIECE_NS (STORED_SLICE_MAX_NS / 2)

/* What the records say of a thread at the end of the range. */
struct thread_finish {
    uint64_t passed_ns;     /* while slices are walked: the end of the one before */
    uint64_t last_slice_ns; /* the end of its last slice in the range; 0: none */
    bool is_known;          /* what follows the range was met */
    bool runs, wants;
    bool is_waiting, is_woken; /* in a stored wait that reaches over the end */
};

struct extract {
    struct query_context context; /* its view is the range */
    const struct snapshot *snapshot;
    struct view view;
    uint64_t from_ns, to_ns;
    struct attribution shares;
    struct wake_pairs wakes;
    struct thread_finish *finishes; /* by thread of the run */
    thread_id *own_ids;             /* likewise; THREAD_ID_NONE: it did not live then */
    struct restore *restore;
};

static uint64_t clip(const struct extract *extract, uint64_t time_ns)
{
    time_ns = time_ns > extract->from_ns ? time_ns : extract->from_ns;
    return time_ns < extract->to_ns ? time_ns : extract->to_ns;
}

/* ---- tables ---- */

static int copy_code(const struct extract *extract)
{
    const struct snapshot *snapshot = extract->snapshot;
    struct restore *restore = extract->restore;
    int r = 0;
    uint64_t n_places = 0;
    for (image_id id = IMAGE_ID_FIRST; r == 0 && id < snapshot->n_images; id++) {
        r = restore_add_image(restore, snapshot_image(snapshot, id));
    }
    for (uint32_t i = 1; r == 0 && i < snapshot->n_code_epochs; i++) {
        const struct epoch_span span = snapshot_code_epoch(snapshot, i);
        r = restore_add_code_epoch(restore, &span);
    }
    for (frame_id id = 0; id < snapshot->n_frames; id++) {
        struct frame frame = snapshot_frame(snapshot, id);
        if (frame.image == IMAGE_ID_NAMED && frame.offset >= n_places) {
            n_places = frame.offset + 1;
        }
    }
    for (uint64_t i = 0; r == 0 && i < n_places; i++) {
        r = restore_add_named_place(restore, snapshot_named_place(snapshot, i));
    }
    for (frame_id id = 0; r == 0 && id < snapshot->n_frames; id++) {
        r = restore_add_frame(restore, snapshot_frame(snapshot, id));
    }
    for (stack_id id = 1; r == 0 && id < snapshot->n_stacks; id++) {
        r = restore_add_stack(restore, snapshot_stack(snapshot, id));
    }
    return r;
}

static int copy_partners(const struct extract *extract)
{
    const struct snapshot *snapshot = extract->snapshot;
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < snapshot->n_outsiders; i++) {
        r = restore_add_outsider(extract->restore,
                                 snapshot_outsider(snapshot, WAKER_ID_OUTSIDER | i));
    }
    for (wait_object_id id = 1; r == 0 && id < snapshot->n_wait_objects; id++) {
        const struct wait_object object = snapshot_wait_object(snapshot, id);
        r = restore_add_wait_object(extract->restore, &object);
    }
    return r;
}

/* ---- threads ---- */

/* The first stored slice that ends after time_ns. */
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

/* No slice behind this one touches the range, nor does the wait for a CPU before it. */
static bool is_past(const struct extract *extract, const struct stored_slice *slice)
{
    return slice->end_ns > extract->to_ns &&
           slice->end_ns - extract->to_ns > 2 * STORED_SLICE_MAX_NS;
}

/* As views see it. Slices of a thread have to come in their order. */
static struct stored_slice seen_slice(const struct extract *extract,
                                      const struct stored_slice *slice)
{
    struct stored_slice seen = *slice;
    struct thread_finish *finish = &extract->finishes[slice->thread];
    bool is_mark = slice->start_ns == slice->end_ns; /* of a long wait for a CPU: nothing ran */
    if (slice->before != GAP_NONE && !is_mark) {
        uint64_t lag_ns = extract->snapshot->switch_lag_ns;
        uint64_t earliest_ns = finish->passed_ns
                                   ? finish->passed_ns
                                   : extract->snapshot->threads[slice->thread].start_ns;
        seen.start_ns =
            slice->start_ns > earliest_ns + lag_ns ? slice->start_ns - lag_ns : earliest_ns;
    }
    finish->passed_ns = slice->end_ns;
    return seen;
}

static struct stored_wait seen_wait(const struct extract *extract, const struct stored_wait *wait)
{
    struct stored_wait seen = *wait;
    uint64_t length_ns = wait->end_ns - wait->start_ns, lag_ns = extract->snapshot->switch_lag_ns;
    seen.end_ns -= lag_ns < length_ns ? lag_ns : length_ns;
    seen.wake_ns = wait->wake_ns < seen.end_ns ? wait->wake_ns : seen.end_ns;
    return seen;
}

static void note_slice(const struct extract *extract, const struct stored_slice *slice)
{
    struct thread_finish *finish = &extract->finishes[slice->thread];
    if (slice->end_ns <= extract->to_ns) {
        finish->last_slice_ns = slice->end_ns;
        finish->runs = slice->end_ns == extract->to_ns && slice->after == GAP_NONE;
    } else if (!finish->is_known) {
        finish->is_known = true;
        finish->runs = slice->start_ns < extract->to_ns;
        finish->wants = !finish->runs && slice->before == GAP_RUNNABLE;
    }
}

static void find_finishes(const struct extract *extract)
{
    const struct snapshot *snapshot = extract->snapshot;
    uint64_t index = first_slice_after(snapshot, extract->from_ns);
    for (; index < snapshot->n_slices; index++) {
        const struct stored_slice *slice = snapshot_slice(snapshot, index);
        if (is_past(extract, slice)) {
            break;
        }
        const struct stored_slice seen = seen_slice(extract, slice);
        note_slice(extract, &seen);
    }
    struct wait_cursor cursor = wait_cursor_begin(snapshot, extract->from_ns, extract->to_ns);
    for (const struct stored_wait *wait = wait_cursor_next(&cursor); wait;
         wait = wait_cursor_next(&cursor)) {
        const struct stored_wait seen = seen_wait(extract, wait);
        if (seen.end_ns > extract->to_ns) {
            extract->finishes[wait->thread].is_waiting = true;
            extract->finishes[wait->thread].is_woken = seen.wake_ns <= extract->to_ns;
        }
    }
}

/* The phase that a thread is in at the end of the range, and since when as far as no record tells
 * of that time. */
static void set_phase(const struct extract *extract, const struct thread_totals *totals,
                      const struct thread_finish *finish, struct thread_totals *own)
{
    uint64_t last_ns = finish->last_slice_ns ? finish->last_slice_ns : totals->start_ns;
    bool is_open = totals->phase_since_ns < extract->to_ns && totals->phase != THREAD_PHASE_GONE;
    own->phase = THREAD_PHASE_BLOCKED;
    own->phase_since_ns = extract->to_ns;
    bool is_in_slice = is_open && totals->phase == THREAD_PHASE_RUNNING; /* which is added */
    bool is_told = finish->is_waiting || finish->wants;
    if (finish->runs || (is_in_slice && !is_told)) {
        own->phase = THREAD_PHASE_RUNNING;
    } else if (finish->is_waiting) {
        own->phase = finish->is_woken ? THREAD_PHASE_RUNNABLE : THREAD_PHASE_BLOCKED;
    } else if (finish->wants) {
        own->phase = THREAD_PHASE_RUNNABLE;
        own->phase_since_ns = last_ns;
    } else if (is_open) {
        own->phase = totals->phase;
        own->phase_since_ns = totals->phase_since_ns;
        own->wait_stack = totals->wait_stack;
        own->wait_object = totals->wait_object;
        own->wait_flags = totals->wait_flags;
    } else if (totals->phase == THREAD_PHASE_RUNNING && totals->waited_since_ns < extract->to_ns) {
        own->phase = THREAD_PHASE_RUNNABLE;
        own->phase_since_ns = totals->waited_since_ns;
    }
}

static int add_thread(struct extract *extract, thread_id id)
{
    const struct thread_totals *totals = &extract->snapshot->threads[id];
    const struct thread_share *share = &extract->shares.threads[id];
    struct thread_totals own = {
        .pid = totals->pid,
        .tid = totals->tid,
        .name = totals->name,
        .start_ns = clip(extract, totals->start_ns),
        .cpu_ns = share->cpu_ns,
        .blocked_ns = share->blocked_ns,
        .runnable_ns = share->runnable_ns,
        .n_samples = share->n_samples,
        .n_voluntary = share->n_voluntary,
        .n_involuntary = share->n_involuntary,
        .period_ns = totals->period_ns,
        .creator_tid = totals->creator_tid,
    };
    if (totals->end_ns != 0 && totals->end_ns <= extract->to_ns) {
        own.phase = THREAD_PHASE_GONE;
        own.end_ns = own.phase_since_ns = clip(extract, totals->end_ns);
    } else {
        set_phase(extract, totals, &extract->finishes[id], &own);
    }
    own.phase_since_ns = clip(extract, own.phase_since_ns);
    own.waited_since_ns = own.phase_since_ns;
    return restore_add_thread(extract->restore, &own);
}

static int copy_threads(struct extract *extract)
{
    thread_id n_own = 0;
    int r = 0;
    for (size_t i = 0; i < extract->snapshot->n_threads; i++) {
        extract->own_ids[i] = extract->shares.threads[i].is_in_view ? n_own++ : THREAD_ID_NONE;
    }
    find_finishes(extract);
    for (size_t i = 0; r == 0 && i < extract->snapshot->n_threads; i++) {
        if (extract->own_ids[i] != THREAD_ID_NONE) {
            r = add_thread(extract, (thread_id)i);
        }
    }
    return r;
}

static waker_id own_waker(const struct extract *extract, waker_id waker)
{
    bool is_thread = waker < extract->snapshot->n_threads;
    if (!is_thread) {
        return waker;
    }
    thread_id own = extract->own_ids[waker];
    return own == THREAD_ID_NONE ? WAKER_ID_UNKNOWN : own;
}

/* ---- samples ---- */

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

static int copy_samples(const struct extract *extract)
{
    const struct snapshot *snapshot = extract->snapshot;
    int r = 0;
    uint64_t index = first_sample_at(snapshot, extract->from_ns);
    for (; r == 0 && index < snapshot->n_samples; index++) {
        struct stored_sample sample = *snapshot_sample(snapshot, index);
        if (sample.time_ns >= extract->to_ns) {
            break;
        }
        sample.thread = extract->own_ids[sample.thread];
        if (sample.thread != THREAD_ID_NONE) {
            r = restore_count_sample(extract->restore,
                                     (struct sample_pair){.thread = sample.thread,
                                                          .stack = sample.stack,
                                                          .slice_class = sample.slice_class});
            r = r ? r : restore_add_sample(extract->restore, &sample);
        }
    }
    return r;
}

/* ---- slices ---- */

static int copy_slice(const struct extract *extract, const struct stored_slice *slice)
{
    struct stored_slice own = *slice;
    own.thread = extract->own_ids[slice->thread];
    if (own.thread == THREAD_ID_NONE || slice->start_ns >= extract->to_ns) {
        return 0;
    }
    if (slice->start_ns < extract->from_ns) {
        own.start_ns = extract->from_ns;
        own.before = GAP_NONE;
    }
    if (slice->end_ns > extract->to_ns) {
        own.end_ns = extract->to_ns;
        own.after = GAP_NONE;
    }
    return restore_add_slice(extract->restore, &own);
}

/* The time on a CPU that lasts when the snapshot is taken is no slice yet. */
static int add_open_slice(const struct extract *extract, thread_id id)
{
    const struct thread_totals *totals = &extract->snapshot->threads[id];
    bool has_waited = totals->waited_since_ns < totals->phase_since_ns;
    if (totals->phase != THREAD_PHASE_RUNNING || totals->phase_since_ns >= extract->to_ns) {
        return 0;
    }
    struct stored_slice slice = {
        .start_ns = clip(extract, totals->phase_since_ns),
        .thread = extract->own_ids[id],
    };
    if (has_waited && totals->phase_since_ns >= extract->from_ns) {
        slice.before = GAP_RUNNABLE;
    }
    int r = 0;
    while (r == 0 && slice.start_ns < extract->to_ns) {
        uint64_t left_ns = extract->to_ns - slice.start_ns;
        slice.end_ns = slice.start_ns + (left_ns < OPEN_PIECE_NS ? left_ns : OPEN_PIECE_NS);
        r = restore_add_slice(extract->restore, &slice);
        slice.start_ns = slice.end_ns;
        slice.before = GAP_NONE;
    }
    return r;
}

static int copy_slices(const struct extract *extract)
{
    const struct snapshot *snapshot = extract->snapshot;
    int r = 0;
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        extract->finishes[i].passed_ns = 0;
    }
    uint64_t index = first_slice_after(snapshot, extract->from_ns);
    for (; r == 0 && index < snapshot->n_slices; index++) {
        const struct stored_slice *slice = snapshot_slice(snapshot, index);
        if (is_past(extract, slice)) {
            break;
        }
        const struct stored_slice seen = seen_slice(extract, slice);
        r = copy_slice(extract, &seen);
    }
    for (size_t i = 0; r == 0 && i < snapshot->n_threads; i++) {
        if (extract->own_ids[i] != THREAD_ID_NONE && !snapshot->has_no_switches) {
            r = add_open_slice(extract, (thread_id)i);
        }
    }
    return r;
}

/* ---- waits ---- */

/* What a view of the range says of a thread's waits in a stack, but for the one that lasts: that is
 * told by the thread. */
static int take_wait_sums(const struct extract *extract, const struct wait_share *share)
{
    const struct thread_totals *totals = &extract->snapshot->threads[share->thread];
    struct wait_sums sum = {
        .thread = extract->own_ids[share->thread],
        .stack = share->stack,
        .flags = share->flags,
        .n_waits = share->n_waits,
        .blocked_ns = share->blocked_ns,
        .max_blocked_ns = share->max_ns,
    };
    if (share->n_open > 0) {
        uint64_t open_ns = wait_shares_open_ns(&extract->shares, totals);
        sum.n_waits -= sum.n_waits > 0;
        sum.blocked_ns -= open_ns < sum.blocked_ns ? open_ns : sum.blocked_ns;
    }
    /* What is left where there is none is time of which no wait tells. */
    return sum.n_waits > 0 ? restore_count_wait(extract->restore, &sum) : 0;
}

static int copy_wait(const struct extract *extract, const struct stored_wait *wait)
{
    const struct stored_wait seen = seen_wait(extract, wait);
    struct stored_wait own = seen;
    own.thread = extract->own_ids[wait->thread];
    if (own.thread == THREAD_ID_NONE || seen.end_ns < extract->from_ns) {
        return 0;
    }
    own.start_ns = clip(extract, seen.start_ns);
    own.wake_ns = clip(extract, seen.wake_ns);
    own.end_ns = clip(extract, seen.end_ns);
    bool is_told = seen.wake_ns >= extract->from_ns && seen.wake_ns < extract->to_ns;
    own.waker = is_told ? own_waker(extract, wait->waker) : WAKER_ID_UNKNOWN;
    own.waker_stack = own.waker == WAKER_ID_UNKNOWN ? STACK_ID_EMPTY : wait->waker_stack;
    if (own.wake_ns > own.start_ns) {
        const struct wait_sums part = {
            .thread = own.thread, .stack = own.stack, .runnable_ns = own.end_ns - own.wake_ns};
        int r = restore_count_wait(extract->restore, &part);
        if (r != 0) {
            return r;
        }
    }
    return restore_add_wait(extract->restore, &own);
}

static int copy_waits(struct extract *extract)
{
    struct wait_cursor cursor =
        wait_cursor_begin(extract->snapshot, extract->from_ns, extract->to_ns);
    const struct wait_shares *shares;
    int r = attribution_waits(&extract->context, &extract->shares, &shares);
    for (size_t i = 0; r == 0 && i < shares->n_rows; i++) {
        r = take_wait_sums(extract, &shares->rows[i]);
    }
    for (const struct stored_wait *wait = wait_cursor_next(&cursor); wait && r == 0;
         wait = wait_cursor_next(&cursor)) {
        r = copy_wait(extract, wait);
    }
    for (size_t i = 0; r == 0 && i < extract->wakes.n_rows; i++) {
        struct wake_sums row = extract->wakes.rows[i];
        row.wakee = extract->own_ids[row.wakee];
        row.waker = own_waker(extract, row.waker);
        r = row.wakee == THREAD_ID_NONE ? 0 : restore_add_wake_sums(extract->restore, &row);
    }
    return r;
}

/* ---- counters ---- */

static int add_counter_times(const struct extract *extract, struct counter_time *times)
{
    const struct snapshot *snapshot = extract->snapshot;
    int r = 0;
    for (size_t i = 0; r == 0 && i < snapshot->n_threads; i++) {
        if (i < snapshot->n_counter_times) {
            times[i].tail_ns = snapshot->counter_times[i].tail_ns;
            times[i].longest_ns = snapshot->counter_times[i].longest_ns;
        }
        if (extract->own_ids[i] != THREAD_ID_NONE) {
            r = restore_add_counter_time(extract->restore, &times[i]);
        }
    }
    return r;
}

static int copy_counters(const struct extract *extract)
{
    const struct snapshot *snapshot = extract->snapshot;
    struct counter_time *times =
        arena_alloc_array(extract->context.arena, snapshot->n_threads, sizeof(*times));
    if (!times) {
        return -ENOMEM;
    }
    int r = 0;
    for (uint64_t i = snapshot->first_reading; r == 0 && i < snapshot->n_readings; i++) {
        struct stored_reading reading = *snapshot_reading(snapshot, i);
        thread_id own = extract->own_ids[reading.thread];
        if (reading.time_ns < extract->from_ns || reading.time_ns >= extract->to_ns ||
            own == THREAD_ID_NONE) {
            continue;
        }
        times[reading.thread].enabled_ns += reading.enabled_ns;
        times[reading.thread].running_ns += reading.running_ns;
        reading.thread = own;
        r = restore_count_reading(extract->restore, &reading);
        r = r ? r : restore_add_reading(extract->restore, &reading);
    }
    return r || snapshot->n_counter_times == 0 ? r : add_counter_times(extract, times);
}

/* ---- all of it ---- */

static int measure(struct extract *extract, struct error *reterr_error)
{
    const struct snapshot *snapshot = extract->snapshot;
    struct arena *arena = extract->context.arena;
    extract->view = (struct view){
        .has_from = true,
        .has_to = true,
        .from_ns = (int64_t)(extract->from_ns - snapshot->start_ns),
        .to_ns = (int64_t)(extract->to_ns - snapshot->start_ns),
    };
    extract->context.view = &extract->view;
    extract->own_ids = arena_alloc_array(arena, snapshot->n_threads, sizeof(*extract->own_ids));
    extract->finishes = arena_alloc_array(arena, snapshot->n_threads, sizeof(*extract->finishes));
    if (!extract->own_ids || !extract->finishes) {
        return -ENOMEM;
    }
    int r = attribution_compute_threads(&extract->context, &extract->shares, reterr_error);
    return r ? r : wake_pairs_compute_all(&extract->context, &extract->shares, &extract->wakes);
}

static int begin(struct extract *extract, const struct aggregate_config *config)
{
    const struct snapshot *snapshot = extract->snapshot;
    struct restore_run run = {
        .sequence = snapshot->sequence,
        .start_ns = extract->from_ns,
        .now_ns = extract->to_ns,
        .n_kernel_samples = snapshot->n_kernel_samples,
        .n_wait_stacks_unknown = snapshot->n_wait_stacks_unknown,
        .n_wait_details_full = snapshot->n_wait_details_full,
        .n_readings_dropped = snapshot->n_readings_dropped,
        .n_missed_switches = snapshot->n_missed_switches,
        .has_no_switches = snapshot->has_no_switches,
        .origin_bound_ns = snapshot->origin_bound_ns,
        .n_span_details_full = snapshot->n_span_details_full,
    };
    memcpy(run.spans_lost, snapshot->spans_lost, sizeof(run.spans_lost));
    if (snapshot->spans_folded_until_ns > extract->from_ns) {
        run.spans_folded_until_ns = clip(extract, snapshot->spans_folded_until_ns);
    }
    if (snapshot->folded_until_ns > extract->from_ns) {
        run.folded_until_ns = clip(extract, snapshot->folded_until_ns);
    }
    for (size_t i = 0; i < extract->wakes.n_rows; i++) {
        run.n_wakeups += extract->wakes.rows[i].n_wakeups;
    }
    memcpy(run.lost, snapshot->lost, sizeof(run.lost));
    int r = restore_begin(config, &run, &extract->restore);
    for (uint8_t i = 0; r == 0 && i < SLICE_CLASS_N; i++) {
        const struct restore_class sums = {
            .ns = snapshot->class_ns[i],
            .n_slices = snapshot->class_slices[i],
            .n_samples = snapshot->class_samples[i],
            .met_ns = snapshot->class_met_ns[i],
        };
        r = restore_add_class(extract->restore, i, sums);
    }
    return r;
}

static int copy_spans(const struct extract *extract)
{
    const struct extract_spans spans = {
        .snapshot = extract->snapshot,
        .view = extract->shares.span_view,
        .from_ns = extract->from_ns,
        .to_ns = extract->to_ns,
        .own_ids = extract->own_ids,
        .restore = extract->restore,
    };
    return extract_spans_copy(&spans);
}

int query_extract(const struct query_context *context, uint64_t from_ns, uint64_t to_ns,
                  const struct aggregate_config *config, struct aggregate **ret_aggregate,
                  struct error *reterr_error)
{
    const struct snapshot *snapshot = context->snapshot;
    struct extract extract = {
        .context = *context,
        .snapshot = snapshot,
        .from_ns = from_ns > snapshot->start_ns ? from_ns : snapshot->start_ns,
        .to_ns = to_ns < snapshot->now_ns ? to_ns : snapshot->now_ns,
    };
    int r = measure(&extract, reterr_error);
    r = r ? r : begin(&extract, config);
    r = r ? r : copy_code(&extract);
    r = r ? r : copy_partners(&extract);
    r = r ? r : copy_threads(&extract);
    r = r ? r : copy_spans(&extract);
    r = r ? r : copy_samples(&extract);
    r = r ? r : copy_slices(&extract);
    r = r ? r : copy_waits(&extract);
    r = r ? r : copy_counters(&extract);
    if (r == 0) {
        *ret_aggregate = restore_end(extract.restore);
    }
    restore_free(extract.restore);
    return r;
}
