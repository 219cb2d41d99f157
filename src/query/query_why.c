/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "query/attribution.h"
#include "query/critical_path.h"
#include "query/hot_place.h"
#include "query/path_sums.h"
#include "query/shown_stacks.h"
#include "query/wait_causes.h"
#include "query/waker_name.h"

#define SEGMENTS_MAX 100000u

/* As long after the first of its threads a process ends the last of them. */
#define END_SLACK_NS 10000000u

struct kept_segment {
    struct path_segment path;
    struct hot_place place; /* RUN */
};

struct work {
    const struct query_context *context;
    const struct query_why_options *options;
    const struct snapshot *snapshot;
    struct attribution attribution;
    struct thread_steps steps;
    struct wait_causes causes;
    struct shown_stacks stacks;
    struct hot_places places;
    struct path_sums sums, handovers;
    struct kept_segment *kept; /* from the last to the first */
    size_t n_kept, kept_capacity;
    struct why_result *result;
};

/* ---- whose end ---- */

/* When the thread was last on a CPU before the end of the range; 0: never in it. */
static uint64_t last_run_ns(const struct work *work, thread_id thread)
{
    struct thread_walk walk = thread_walk_from(&work->steps, thread, work->steps.to_ns);
    struct thread_step step;
    while (thread_walk_back(&walk, &step)) {
        if (step.kind == THREAD_STEP_RUN) {
            return step.end_ns;
        }
    }
    return 0;
}

static bool is_main(const struct thread_totals *totals)
{
    return totals->tid == totals->pid;
}

static bool had_ended(const struct work *work, thread_id thread)
{
    uint64_t end_ns = work->snapshot->threads[thread].end_ns;
    return end_ns != 0 && end_ns <= work->steps.to_ns;
}

/*
 * A process ends all its threads together, and some of them later than the one
 * that ended it. The main thread, where it was among them; else `latest`.
 */
static thread_id main_of_ended(const struct work *work, thread_id latest, uint64_t latest_ns)
{
    const struct snapshot *snapshot = work->snapshot;
    for (size_t i = 0; had_ended(work, latest) && i < snapshot->n_threads; i++) {
        const struct thread_totals *totals = &snapshot->threads[i];
        if (work->attribution.threads[i].is_in_view && is_main(totals) &&
            totals->pid == snapshot->threads[latest].pid && had_ended(work, (thread_id)i) &&
            last_run_ns(work, (thread_id)i) + END_SLACK_NS >= latest_ns) {
            return (thread_id)i;
        }
    }
    return latest;
}

static thread_id choose_thread(struct work *work)
{
    const struct snapshot *snapshot = work->snapshot;
    thread_id chosen = THREAD_ID_NONE;
    uint64_t latest_ns = 0;
    size_t n_candidates = 0, n_latest = 0;
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        if (!work->attribution.threads[i].is_in_view) {
            continue;
        }
        n_candidates++;
        uint64_t ran_ns = last_run_ns(work, (thread_id)i);
        bool is_better = chosen == THREAD_ID_NONE || ran_ns > latest_ns;
        bool is_equal = !is_better && ran_ns == latest_ns;
        n_latest = is_better ? 1 : n_latest + is_equal;
        if (is_better ||
            (is_equal && is_main(&snapshot->threads[i]) && !is_main(&snapshot->threads[chosen]))) {
            chosen = (thread_id)i;
        }
        latest_ns = is_better ? ran_ns : latest_ns;
    }
    if (chosen == THREAD_ID_NONE) {
        return chosen;
    }
    if (latest_ns > 0 && main_of_ended(work, chosen, latest_ns) != chosen) {
        chosen = main_of_ended(work, chosen, latest_ns);
        n_latest = 2;
    }
    if (n_candidates == 1) {
        work->result->choice =
            work->context->view->n_tids > 0 ? "it was asked for" : "there is no other";
    } else if (latest_ns == 0) {
        work->result->choice = "no thread ran in this range";
    } else if (n_latest == 1) {
        work->result->choice = "it ran last";
    } else {
        work->result->choice = is_main(&snapshot->threads[chosen])
                                   ? "several threads ran at the end, and it is the main one"
                                   : "several threads ran at the end, and it is the first of them";
    }
    return chosen;
}

/* ---- the walk ---- */

static const struct wait_cause_entry *
cause_of(struct work *work, const struct path_segment *segment, const struct stored_wait *wait)
{
    const struct thread_totals *totals = &work->snapshot->threads[segment->thread];
    if (segment->is_open) {
        return wait_causes_get(&work->causes, totals->wait_stack, totals->wait_object);
    }
    return wait ? wait_causes_get(&work->causes, wait->stack, wait->object)
                : wait_causes_get(&work->causes, STACK_ID_EMPTY, 0);
}

static const char *text_or_null(const char *text)
{
    return text && text[0] != '\0' ? text : NULL;
}

static int add_handover(struct work *work, const struct path_segment *segment)
{
    struct path_sum_key key = {
        .thread = segment->thread,
        .other = segment->other,
        .is_birth = segment->is_birth,
        .reason = WAIT_REASON_OTHER,
    };
    uint64_t waited_ns = 0;
    if (segment->edge) {
        const struct wait_cause_entry *cause =
            cause_of(work, &(struct path_segment){.thread = segment->thread}, segment->edge);
        if (!cause) {
            return -ENOMEM;
        }
        key.reason = cause->reason;
        key.what = text_or_null(cause->site);
        waited_ns = segment->edge->wake_ns - segment->edge->start_ns;
    }
    return path_sums_add(&work->handovers, &key, waited_ns);
}

static int keep(struct work *work, const struct path_segment *segment,
                const struct hot_place *place)
{
    size_t limit = work->options->limit;
    limit = limit > 0 && limit < SEGMENTS_MAX ? limit : SEGMENTS_MAX;
    if (work->n_kept == limit) {
        return 0;
    }
    if (work->n_kept == work->kept_capacity) {
        size_t capacity = work->kept_capacity ? 2 * work->kept_capacity : 64;
        struct kept_segment *grown = reallocarray(work->kept, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        work->kept = grown;
        work->kept_capacity = capacity;
    }
    work->kept[work->n_kept++] = (struct kept_segment){.path = *segment, .place = *place};
    return 0;
}

static int on_segment(void *userdata, const struct path_segment *segment)
{
    struct work *work = userdata;
    struct hot_place place = {.stack = STACK_ID_EMPTY};
    struct path_sum_key key = {
        .thread = segment->thread,
        .other = THREAD_ID_NONE,
        .kind = segment->kind,
        .reason = WAIT_REASON_OTHER,
    };
    int r = 0;
    if (segment->kind == WHY_KIND_RUN) {
        r = hot_places_find(&work->places, segment->thread, segment->start_ns, segment->end_ns,
                            &place);
        key.what = place.symbol ? place.symbol->name : NULL;
        key.image = place.symbol ? text_or_null(place.symbol->image) : NULL;
    } else if (segment->kind == WHY_KIND_WAIT) {
        const struct wait_cause_entry *cause = cause_of(work, segment, segment->wait);
        if (!cause) {
            return -ENOMEM;
        }
        key.reason = cause->reason;
        key.what = text_or_null(cause->site);
        key.image = text_or_null(cause->site_image);
    }
    work->result->all_segments++;
    r = r ? r : path_sums_add(&work->sums, &key, segment->end_ns - segment->start_ns);
    r = r || (!segment->edge && !segment->is_birth) ? r : add_handover(work, segment);
    return r ? r : keep(work, segment, &place);
}

/* ---- the answer ---- */

static int show_stack(struct work *work, stack_id stack, struct frame_result **ret_frames,
                      size_t *ret_n_frames)
{
    struct shown_stack shown;
    int r = shown_stacks_get(&work->stacks, stack, &shown);
    if (r == 0) {
        *ret_frames = shown.frames;
        *ret_n_frames = shown.n_frames;
    }
    return r;
}

static int fill_edge(struct work *work, const struct path_segment *path, struct why_edge *edge)
{
    const struct thread_totals *other = &work->snapshot->threads[path->other];
    *edge = (struct why_edge){
        .waker_tid = other->tid,
        .waker_name = other->name,
        .is_birth = path->is_birth,
        .reason = WAIT_REASON_OTHER,
    };
    if (!path->edge) {
        return 0;
    }
    const struct wait_cause_entry *cause =
        cause_of(work, &(struct path_segment){.thread = path->thread}, path->edge);
    if (!cause) {
        return -ENOMEM;
    }
    edge->waited_ns = path->edge->wake_ns - path->edge->start_ns;
    edge->reason = cause->reason;
    edge->wait_site = text_or_null(cause->site);
    int r = show_stack(work, path->edge->stack, &edge->wait_stack, &edge->n_wait_stack);
    return r ? r
             : show_stack(work, path->edge->waker_stack, &edge->waker_stack, &edge->n_waker_stack);
}

static void fill_waker(const struct work *work, const struct path_segment *path,
                       struct why_segment *row)
{
    const struct stored_wait *wait = path->wait;
    if (wait && !path->is_cut && wait->waker != WAKER_ID_UNKNOWN) {
        struct waker_name waker = waker_name_of(work->snapshot, wait->waker);
        row->has_waker = true;
        row->waker_tid = waker.tid;
        row->waker_name = waker.name;
    }
}

static int fill_segment(struct work *work, const struct kept_segment *kept, struct why_segment *row)
{
    const struct path_segment *path = &kept->path;
    const struct thread_totals *totals = &work->snapshot->threads[path->thread];
    *row = (struct why_segment){
        .tid = totals->tid,
        .name = totals->name,
        .kind = path->kind,
        .start_ns = path->start_ns - work->snapshot->start_ns,
        .duration_ns = path->end_ns - path->start_ns,
        .reason = WAIT_REASON_OTHER,
        .samples = kept->place.n_samples,
        .has_edge = path->edge || path->is_birth,
    };
    fill_waker(work, path, row);
    int r = row->has_edge ? fill_edge(work, path, &row->edge) : 0;
    if (r == 0 && path->kind == WHY_KIND_RUN) {
        r = show_stack(work, kept->place.stack, &row->stack, &row->n_stack);
    } else if (r == 0 && path->kind == WHY_KIND_WAIT) {
        const struct wait_cause_entry *cause = cause_of(work, path, path->wait);
        if (!cause) {
            return -ENOMEM;
        }
        row->reason = cause->reason;
        row->wait_site = text_or_null(cause->site);
        stack_id stack = path->is_open ? totals->wait_stack
                         : path->wait  ? path->wait->stack
                                       : STACK_ID_EMPTY;
        r = show_stack(work, stack, &row->stack, &row->n_stack);
    }
    return r;
}

static size_t limited(const struct work *work, size_t n)
{
    return work->options->limit > 0 && n > work->options->limit ? work->options->limit : n;
}

static int fill_sums(struct work *work)
{
    struct why_result *result = work->result;
    struct arena *arena = work->context->arena;
    path_sums_sort(&work->sums);
    path_sums_sort(&work->handovers);
    result->n_summary = limited(work, work->sums.n_sums);
    result->n_handovers = limited(work, work->handovers.n_sums);
    result->summary = arena_alloc_array(arena, result->n_summary, sizeof(*result->summary));
    result->handovers = arena_alloc_array(arena, result->n_handovers, sizeof(*result->handovers));
    if (!result->summary || !result->handovers) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < result->n_summary; i++) {
        const struct path_sum *sum = &work->sums.sums[i];
        const struct thread_totals *totals = &work->snapshot->threads[sum->key.thread];
        result->summary[i] = (struct why_sum){
            .tid = totals->tid,
            .name = totals->name,
            .kind = sum->key.kind,
            .reason = sum->key.reason,
            .what = sum->key.what,
            .image = sum->key.image,
            .total_ns = sum->total_ns,
            .max_ns = sum->max_ns,
            .count = sum->count,
            .total_pct =
                result->total_ns > 0 ? 100.0 * (double)sum->total_ns / (double)result->total_ns : 0,
        };
    }
    for (size_t i = 0; i < result->n_handovers; i++) {
        const struct path_sum *sum = &work->handovers.sums[i];
        const struct thread_totals *wakee = &work->snapshot->threads[sum->key.thread];
        const struct thread_totals *waker = &work->snapshot->threads[sum->key.other];
        result->handovers[i] = (struct why_handover){
            .wakee_tid = wakee->tid,
            .waker_tid = waker->tid,
            .wakee_name = wakee->name,
            .waker_name = waker->name,
            .is_birth = sum->key.is_birth,
            .reason = sum->key.reason,
            .wait_site = sum->key.what,
            .count = sum->count,
            .waited_ns = sum->total_ns,
        };
    }
    return 0;
}

static const char *hint_of(const struct work *work)
{
    if (work->attribution.from_ns < work->steps.from_ns) {
        return "the earliest switches were folded away (--max-memory, --ring): that part of "
               "the path is not known";
    }
    if (work->snapshot->n_wakeups == 0 && work->options->unrecorded) {
        return arena_printf(work->context->arena,
                            "who wakes whom is not recorded here (%s), so the path never leaves "
                            "its thread: run stax-server as root, or install staxd: sudo stax "
                            "setup",
                            work->options->unrecorded);
    }
    return NULL;
}

static int answer(struct work *work, struct error *reterr_error)
{
    struct why_result *result = work->result;
    thread_id thread = choose_thread(work);
    if (thread == THREAD_ID_NONE) {
        error_set(reterr_error, "invalid_params", "no thread lived in this range");
        error_hint(reterr_error, "`stax threads -n 0` shows when the threads lived");
        return -EINVAL;
    }
    result->thread = (struct why_thread){
        .tid = work->snapshot->threads[thread].tid,
        .name = work->snapshot->threads[thread].name,
    };
    int r = critical_path_walk(&work->steps, thread, work->attribution.from_ns, on_segment, work);
    r = r ? r : fill_sums(work);
    result->segments =
        arena_alloc_array(work->context->arena, work->n_kept, sizeof(*result->segments));
    if (r != 0 || !result->segments) {
        return r ? r : -ENOMEM;
    }
    for (size_t i = 0; r == 0 && i < work->n_kept; i++) {
        r = fill_segment(work, &work->kept[work->n_kept - 1 - i], &result->segments[i]);
    }
    result->n_segments = work->n_kept;
    result->unkept_segments =
        result->all_segments > SEGMENTS_MAX ? result->all_segments - SEGMENTS_MAX : 0;
    result->hint = hint_of(work);
    return r;
}

static int refuse(const struct query_context *context, struct error *reterr_error)
{
    if (context->view->n_exclude > 0 || context->view->n_focus > 0) {
        error_set(reterr_error, "not_supported",
                  "a path that leaves something out is none: why takes neither exclude nor focus");
        error_hint(reterr_error, "--from and --to choose the range, --tid the thread");
        return -EINVAL;
    }
    if (context->snapshot->has_no_switches) {
        error_set(reterr_error, "not_supported", "%s", ATTRIBUTION_NO_SWITCHES);
        error_hint(reterr_error, ATTRIBUTION_NO_SWITCHES_HINT);
        return -EINVAL;
    }
    return 0;
}

int query_why(const struct query_context *context, const struct query_why_options *options,
              struct why_result *ret_result, struct error *reterr_error)
{
    struct work work = {
        .context = context,
        .options = options,
        .snapshot = context->snapshot,
        .result = ret_result,
    };
    struct attribution *attribution = &work.attribution;
    int r = refuse(context, reterr_error);
    r = r ? r : attribution_compute(context, attribution, reterr_error);
    r = r ? r
          : thread_steps_build(context->snapshot, attribution->from_ns, attribution->to_ns, NULL,
                               context->arena, &work.steps);
    r = r ? r : wait_causes_init(context, &work.causes);
    if (r != 0) {
        return r;
    }
    *ret_result = (struct why_result){
        .run = attribution_stamp(context),
        .view = attribution->echo,
        .total_ns = attribution->to_ns - attribution->from_ns,
        .start_ns = attribution->echo.from_ns,
        .end_ns = attribution->echo.to_ns,
    };
    shown_stacks_init(context, options->max_frames, &work.stacks);
    hot_places_init(context, attribution->to_ns, &work.places);
    path_sums_init(&work.sums);
    path_sums_init(&work.handovers);
    r = answer(&work, reterr_error);
    path_sums_release(&work.handovers);
    path_sums_release(&work.sums);
    hot_places_release(&work.places);
    shown_stacks_release(&work.stacks);
    wait_causes_release(&work.causes);
    free(work.kept);
    return r;
}
