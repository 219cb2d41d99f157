/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "aggregate/wait_cursor.h"
#include "query/attribution.h"
#include "query/object_text.h"
#include "query/shown_stacks.h"
#include "query/thread_steps.h"
#include "query/wait_causes.h"
#include "query/waker_name.h"

#define SORT_AT_LEAST 4096u

/* A wait that could become a row. */
struct candidate {
    uint64_t rank; /* the larger the earlier it comes */
    uint64_t start_ns;
    const struct stored_wait *wait; /* NULL: it lasts */
    thread_id thread;
};

struct object_name {
    bool is_known;
    const char *text; /* NULL: it has none */
};

struct work {
    const struct query_context *context;
    const struct query_intervals_options *options;
    const struct snapshot *snapshot;
    struct attribution attribution;
    struct wait_causes causes;
    struct shown_stacks stacks;
    struct object_name *objects; /* by wait_object_id */
    struct candidate *candidates;
    size_t n_candidates, capacity;
    uint64_t least_rank; /* below it nothing can become a row any more */
    struct intervals_result *result;
};

static uint64_t length_ns(uint64_t start_ns, uint64_t end_ns)
{
    return end_ns > start_ns ? end_ns - start_ns : 0;
}

/* ---- choosing ---- */

static int by_rank(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->rank != b->rank) {
        return a->rank > b->rank ? -1 : 1;
    }
    if (a->start_ns != b->start_ns) {
        return a->start_ns < b->start_ns ? -1 : 1;
    }
    return a->thread < b->thread ? -1 : a->thread > b->thread;
}

/* Only the first `limit` can become rows. */
static void drop_surplus(struct work *work)
{
    size_t limit = work->options->limit;
    if (work->n_candidates > 1) {
        qsort(work->candidates, work->n_candidates, sizeof(*work->candidates), by_rank);
    }
    if (limit > 0 && work->n_candidates >= limit) {
        work->n_candidates = limit;
        work->least_rank = work->candidates[limit - 1].rank;
    }
}

static int add_candidate(struct work *work, const struct candidate *candidate)
{
    size_t limit = work->options->limit;
    if (candidate->rank < work->least_rank) {
        return 0;
    }
    if (work->n_candidates == work->capacity) {
        if (limit > 0 && work->n_candidates >= SORT_AT_LEAST && work->n_candidates / 2 >= limit) {
            drop_surplus(work);
        } else {
            size_t capacity = work->capacity ? 2 * work->capacity : 1024;
            struct candidate *grown =
                reallocarray(work->candidates, capacity, sizeof(*work->candidates));
            if (!grown) {
                return -ENOMEM;
            }
            work->candidates = grown;
            work->capacity = capacity;
        }
    }
    work->candidates[work->n_candidates++] = *candidate;
    return 0;
}

/* Do exclude, focus and --reason leave a wait in this stack? 1, 0 or -ENOMEM. */
static int is_asked_for(struct work *work, stack_id stack, wait_object_id object)
{
    const uint8_t *is_kept = work->attribution.stack_is_kept;
    if (is_kept && !is_kept[stack]) {
        return 0;
    }
    if (!work->options->has_reason) {
        return 1;
    }
    const struct wait_cause_entry *cause = wait_causes_get(&work->causes, stack, object);
    return cause ? cause->reason == work->options->reason : -ENOMEM;
}

static int collect_ended(struct work *work)
{
    const struct attribution *attribution = &work->attribution;
    bool is_latest = work->options->order == INTERVALS_ORDER_LATEST;
    struct wait_cursor cursor =
        wait_cursor_begin(work->snapshot, attribution->from_ns, attribution->to_ns);
    for (const struct stored_wait *wait = wait_cursor_next(&cursor); wait;
         wait = wait_cursor_next(&cursor)) {
        /* Of no length: it was found running, and nobody had told that it was there. */
        bool is_none = wait->end_ns == wait->start_ns;
        if (is_none || !attribution->threads[wait->thread].is_in_view) {
            continue;
        }
        uint64_t end_ns = thread_steps_end_of(work->snapshot, wait);
        if (wait->start_ns < attribution->from_ns && end_ns <= attribution->from_ns) {
            continue; /* only the record of its end, which came late, lies in the range */
        }
        int r = is_asked_for(work, wait->stack, wait->object);
        if (r > 0) {
            uint64_t wake_ns = thread_steps_wake_of(work->snapshot, wait);
            uint64_t blocked_ns = length_ns(wait->start_ns, wake_ns);
            const struct candidate candidate = {
                .rank = is_latest ? end_ns : blocked_ns,
                .start_ns = wait->start_ns,
                .wait = wait,
                .thread = wait->thread,
            };
            work->result->intervals++;
            work->result->blocked_ns += blocked_ns;
            work->result->runq_ns += length_ns(wake_ns, end_ns);
            r = add_candidate(work, &candidate);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static bool is_waiting(const struct thread_totals *totals)
{
    return totals->end_ns == 0 &&
           (totals->phase == THREAD_PHASE_BLOCKED || totals->phase == THREAD_PHASE_UNKNOWN);
}

static int collect_open(struct work *work)
{
    const struct snapshot *snapshot = work->snapshot;
    const struct attribution *attribution = &work->attribution;
    bool is_latest = work->options->order == INTERVALS_ORDER_LATEST;
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        const struct thread_totals *totals = &snapshot->threads[i];
        if (!attribution->threads[i].is_in_view || !is_waiting(totals) ||
            totals->phase_since_ns >= attribution->to_ns) {
            continue;
        }
        int r = is_asked_for(work, totals->wait_stack, totals->wait_object);
        if (r > 0) {
            uint64_t blocked_ns = length_ns(totals->phase_since_ns, snapshot->now_ns);
            const struct candidate candidate = {
                /* Whatever lasts is later than all that has ended; the newest of it first. */
                .rank = is_latest ? UINT64_MAX / 2 + totals->phase_since_ns : blocked_ns,
                .start_ns = totals->phase_since_ns,
                .thread = (thread_id)i,
            };
            work->result->intervals++;
            work->result->blocked_ns += blocked_ns;
            r = add_candidate(work, &candidate);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* ---- rows ---- */

static const char *name_of_object(const struct work *work, wait_object_id number)
{
    if (number == 0 || number >= work->snapshot->n_wait_objects) {
        return NULL;
    }
    /* A name may be asked of the operating system, and thousands of waits have the same one. */
    struct object_name *name = &work->objects[number];
    if (!name->is_known) {
        struct wait_object object = snapshot_wait_object(work->snapshot, number);
        name->text = object_text(&object, work->context->objects, work->context->arena);
        name->is_known = true;
    }
    return name->text;
}

static int show(struct work *work, stack_id stack, struct shown_stack *ret_shown)
{
    return shown_stacks_get(&work->stacks, work->options->no_stacks ? STACK_ID_EMPTY : stack,
                            ret_shown);
}

/* Where it waited and why. */
static int fill_cause(struct work *work, stack_id stack, wait_object_id object, uint8_t flags,
                      struct interval_row *row)
{
    const struct wait_cause_entry *cause = wait_causes_get(&work->causes, stack, object);
    struct shown_stack shown;
    if (!cause || show(work, stack, &shown) != 0) {
        return -ENOMEM;
    }
    row->reason = cause->reason;
    row->wait_site = cause->site[0] != '\0' ? cause->site : NULL;
    row->has_stack = !work->options->no_stacks;
    row->n_stack = shown.n_frames;
    row->stack = shown.frames;
    row->approximate = (flags & WAIT_FLAG_APPROXIMATE) != 0;
    row->complete = stack != STACK_ID_EMPTY && !(flags & WAIT_FLAG_CUT);
    row->object = name_of_object(work, object);
    return 0;
}

static int fill_waker(struct work *work, const struct stored_wait *wait, struct interval_row *row)
{
    if (wait->waker == WAKER_ID_UNKNOWN) {
        return 0;
    }
    struct waker_name name = waker_name_of(work->snapshot, wait->waker);
    struct shown_stack shown;
    int r = show(work, wait->waker_stack, &shown);
    if (r != 0) {
        return r;
    }
    row->has_waker = true;
    row->waker = (struct waker_result){
        .tid = name.tid,
        .name = name.name,
        .is_outsider = name.is_outsider,
        .has_stack = row->has_stack,
        .n_stack = shown.n_frames,
        .stack = shown.frames,
    };
    return 0;
}

static int fill_row(struct work *work, const struct candidate *candidate, struct interval_row *row)
{
    const struct snapshot *snapshot = work->snapshot;
    const struct thread_totals *totals = &snapshot->threads[candidate->thread];
    const struct stored_wait *wait = candidate->wait;
    if (!wait) {
        *row = (struct interval_row){
            .tid = totals->tid,
            .name = totals->name,
            .start_ns = length_ns(snapshot->start_ns, totals->phase_since_ns),
            .duration_ns = length_ns(totals->phase_since_ns, snapshot->now_ns),
            .open = true,
        };
        return fill_cause(work, totals->wait_stack, totals->wait_object, totals->wait_flags, row);
    }
    uint64_t wake_ns = thread_steps_wake_of(snapshot, wait);
    *row = (struct interval_row){
        .tid = totals->tid,
        .name = totals->name,
        .start_ns = length_ns(snapshot->start_ns, wait->start_ns),
        .duration_ns = length_ns(wait->start_ns, wake_ns),
        .runq_ns = length_ns(wake_ns, thread_steps_end_of(snapshot, wait)),
    };
    int r = fill_cause(work, wait->stack, wait->object, wait->flags, row);
    return r ? r : fill_waker(work, wait, row);
}

static const char *hint_of(const struct work *work)
{
    const struct attribution *attribution = &work->attribution;
    if (work->snapshot->has_no_switches) {
        return ATTRIBUTION_NO_SWITCHES;
    }
    if (work->result->intervals > 0) {
        return attribution->from_ns < work->snapshot->folded_until_ns
                   ? "the earliest waits were folded away (--max-memory, --ring); "
                     "`stax off-cpu` counts them too"
                   : NULL;
    }
    if (work->options->has_reason || attribution->is_filtered) {
        return "no wait is like that; `stax off-cpu --by reason` shows what there is";
    }
    return view_has_range(work->context->view)
               ? "nothing waited in this range; `stax threads` shows what the threads did"
               : "no thread has waited for anything but a CPU; `stax top` shows what they do";
}

static int answer(struct work *work)
{
    int r = work->snapshot->has_no_switches ? 0 : collect_ended(work);
    r = r || work->snapshot->has_no_switches ? r : collect_open(work);
    if (r != 0) {
        return r;
    }
    drop_surplus(work);
    struct interval_row *rows =
        arena_alloc_array(work->context->arena, work->n_candidates, sizeof(*rows));
    work->objects = arena_alloc_array(work->context->arena, work->snapshot->n_wait_objects,
                                      sizeof(*work->objects));
    if (!rows || !work->objects) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < work->n_candidates; i++) {
        r = fill_row(work, &work->candidates[i], &rows[i]);
        if (r != 0) {
            return r;
        }
    }
    work->result->n_rows = work->n_candidates;
    work->result->rows = rows;
    work->result->hint = hint_of(work);
    return 0;
}

int query_intervals(const struct query_context *context,
                    const struct query_intervals_options *options,
                    struct intervals_result *ret_result, struct error *reterr_error)
{
    struct work work = {
        .context = context,
        .options = options,
        .snapshot = context->snapshot,
        .result = ret_result,
    };
    int r = attribution_compute(context, &work.attribution, reterr_error);
    r = r ? r : wait_causes_init(context, &work.causes);
    if (r != 0) {
        return r;
    }
    *ret_result = (struct intervals_result){
        .run = attribution_stamp(context),
        .view = work.attribution.echo,
        .order = options->order,
    };
    shown_stacks_init(context, options->max_frames, &work.stacks);
    r = answer(&work);
    shown_stacks_release(&work.stacks);
    wait_causes_release(&work.causes);
    free(work.candidates);
    return r;
}
