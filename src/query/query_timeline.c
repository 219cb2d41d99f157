/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/time_sum.h"
#include "query/attribution.h"
#include "query/thread_steps.h"

struct work {
    const struct query_context *context;
    struct attribution attribution;
    struct thread_steps steps;
    uint64_t bucket_ns, n_buckets;
};

/* What becomes a row, before there is one: rows are large. */
struct candidate {
    thread_id thread;
    uint64_t cpu_ns, blocked_ns, start_ns;
};

static int by_cpu(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->cpu_ns != b->cpu_ns) {
        return a->cpu_ns > b->cpu_ns ? -1 : 1;
    }
    if (a->blocked_ns != b->blocked_ns) {
        return a->blocked_ns > b->blocked_ns ? -1 : 1;
    }
    return a->start_ns < b->start_ns ? -1 : a->start_ns > b->start_ns;
}

static int choose(struct work *work, struct candidate **ret_candidates, size_t *ret_n_candidates)
{
    const struct snapshot *snapshot = work->context->snapshot;
    struct candidate *candidates =
        arena_alloc_array(work->context->arena, snapshot->n_threads, sizeof(*candidates));
    if (!candidates) {
        return -ENOMEM;
    }
    size_t n_candidates = 0;
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        const struct thread_share *share = &work->attribution.threads[i];
        if (share->is_in_view) {
            candidates[n_candidates++] = (struct candidate){
                .thread = (thread_id)i,
                .cpu_ns = share->cpu_ns,
                .blocked_ns = share->blocked_ns,
                .start_ns = snapshot->threads[i].start_ns,
            };
        }
    }
    if (n_candidates > 0) {
        qsort(candidates, n_candidates, sizeof(*candidates), by_cpu);
    }
    *ret_candidates = candidates;
    *ret_n_candidates = n_candidates;
    return 0;
}

static void cut_range(struct work *work, uint64_t n_wanted)
{
    uint64_t range_ns = work->attribution.to_ns - work->attribution.from_ns;
    work->bucket_ns = range_ns / n_wanted + (range_ns % n_wanted != 0);
    if (work->bucket_ns > 0) {
        work->n_buckets = range_ns / work->bucket_ns + (range_ns % work->bucket_ns != 0);
    }
}

/* Hands a step out to the buckets that it touches; returns its length. */
static uint64_t add_step(const struct work *work, const struct thread_step *step, uint64_t *buckets)
{
    uint64_t start_ns = step->start_ns - work->attribution.from_ns;
    uint64_t end_ns = step->end_ns - work->attribution.from_ns;
    for (uint64_t i = start_ns / work->bucket_ns; start_ns < end_ns; i++) {
        bool is_last = i + 1 == work->n_buckets;
        uint64_t bucket_end_ns = is_last ? end_ns : (i + 1) * work->bucket_ns;
        uint64_t until_ns = end_ns < bucket_end_ns ? end_ns : bucket_end_ns;
        buckets[i] += until_ns - start_ns;
        start_ns = until_ns;
    }
    return step->end_ns - step->start_ns;
}

static uint64_t relative_ns(uint64_t time_ns, uint64_t start_ns)
{
    return time_ns > start_ns ? time_ns - start_ns : 0;
}

static int fill_row(const struct work *work, thread_id thread, struct timeline_row *row)
{
    const struct snapshot *snapshot = work->context->snapshot;
    const struct thread_totals *totals = &snapshot->threads[thread];
    struct arena *arena = work->context->arena;
    size_t n = work->n_buckets;
    uint64_t *buckets = arena_alloc_array(arena, 3 * n, sizeof(*buckets));
    if (!buckets) {
        return -ENOMEM;
    }
    *row = (struct timeline_row){
        .tid = totals->tid,
        .pid = totals->pid,
        .name = totals->name,
        .start_ns = relative_ns(totals->start_ns, snapshot->start_ns),
        .end_ns = relative_ns(totals->end_ns ? totals->end_ns : work->attribution.to_ns,
                              snapshot->start_ns),
        .n_cpu_by_bucket_ns = n,
        .cpu_by_bucket_ns = buckets,
        .n_runq_by_bucket_ns = n,
        .runq_by_bucket_ns = buckets + n,
        .n_off_cpu_by_bucket_ns = n,
        .off_cpu_by_bucket_ns = buckets + 2 * n,
    };
    struct thread_walk walk = thread_walk_from(&work->steps, thread, work->attribution.to_ns);
    struct thread_step step;
    while (thread_walk_back(&walk, &step)) {
        switch (step.kind) {
        case THREAD_STEP_RUN:
            row->cpu_ns += add_step(work, &step, row->cpu_by_bucket_ns);
            break;
        case THREAD_STEP_RUNQ:
            row->runq_ns += add_step(work, &step, row->runq_by_bucket_ns);
            break;
        case THREAD_STEP_WAIT:
            row->off_cpu_ns += add_step(work, &step, row->off_cpu_by_bucket_ns);
            break;
        }
    }
    return 0;
}

/* ---- lanes ---- */

/* Rows of lanes, and the one of each lane (NULL: not in the view). */
struct lane_rows {
    const struct work *work;
    size_t n_rows;
    struct timeline_row *rows, **by_lane;
};

static bool is_lane_in_view(const struct attribution *attribution, uint32_t lane)
{
    const struct span_view *view = attribution->span_view;
    const struct lane_totals *totals = &view->context->snapshot->lanes[lane];
    bool overlaps =
        totals->first_ns < attribution->to_ns && totals->last_ns >= attribution->from_ns;
    return view->lane_is_all[lane] && totals->n_spans > 0 && (overlaps || !view->has_range);
}

static size_t count_lanes(const struct work *work)
{
    size_t n_lanes = 0;
    for (uint32_t i = 0; i < work->context->snapshot->n_lanes; i++) {
        n_lanes += is_lane_in_view(&work->attribution, i);
    }
    return n_lanes;
}

static int make_lane_row(const struct work *work, uint32_t lane, struct timeline_row *row)
{
    const struct snapshot *snapshot = work->context->snapshot;
    const struct lane_totals *totals = &snapshot->lanes[lane];
    size_t n = work->n_buckets;
    uint64_t *buckets = arena_alloc_array(work->context->arena, 2 * n, sizeof(*buckets));
    if (!buckets) {
        return -ENOMEM;
    }
    *row = (struct timeline_row){
        .tid = LANE_TID_FIRST + lane,
        .pid = totals->pid,
        .name = totals->name,
        .kind = THREAD_KIND_TARGET,
        .start_ns = relative_ns(totals->first_ns, snapshot->start_ns),
        .end_ns = relative_ns(totals->last_ns, snapshot->start_ns),
        .n_target_by_bucket_ns = n,
        .target_by_bucket_ns = buckets,
        .n_spans_by_bucket = n,
        .spans_by_bucket = buckets + n,
    };
    return 0;
}

static int add_span(void *userdata, const struct stored_span *span)
{
    struct lane_rows *lanes = userdata;
    const struct work *work = lanes->work;
    struct timeline_row *row = lanes->by_lane[span->lane];
    if (!row || work->bucket_ns == 0) {
        return 0;
    }
    uint64_t from_ns = work->attribution.from_ns, to_ns = work->attribution.to_ns;
    row->spans++;
    if (span->start_ns >= from_ns && span->start_ns < to_ns) {
        row->spans_by_bucket[(span->start_ns - from_ns) / work->bucket_ns]++;
    }
    const struct thread_step part = {
        .start_ns = span->start_ns > from_ns ? span->start_ns : from_ns,
        .end_ns = span->end_ns < to_ns ? span->end_ns : to_ns,
    };
    if (part.start_ns < part.end_ns &&
        span_view_is_outermost(work->attribution.span_view, span->lane, span->name,
                               STACK_ID_EMPTY)) {
        row->target_ns =
            time_sum_ns(row->target_ns, add_step(work, &part, row->target_by_bucket_ns));
    }
    return 0;
}

static int by_target(const void *left, const void *right)
{
    const struct timeline_row *a = left, *b = right;
    if (a->target_ns != b->target_ns) {
        return a->target_ns > b->target_ns ? -1 : 1;
    }
    return a->tid < b->tid ? -1 : a->tid > b->tid;
}

/* All lanes of the view, by time. */
static int fill_lanes(const struct work *work, struct timeline_row *rows)
{
    const struct snapshot *snapshot = work->context->snapshot;
    struct lane_rows lanes = {
        .work = work,
        .rows = rows,
        .by_lane =
            arena_alloc_array(work->context->arena, snapshot->n_lanes, sizeof(*lanes.by_lane)),
    };
    if (!lanes.by_lane) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < snapshot->n_lanes; i++) {
        if (is_lane_in_view(&work->attribution, i)) {
            int r = make_lane_row(work, i, &rows[lanes.n_rows]);
            if (r != 0) {
                return r;
            }
            lanes.by_lane[i] = &rows[lanes.n_rows++];
        }
    }
    if (lanes.n_rows == 0) {
        return 0;
    }
    int r = span_view_each(work->attribution.span_view, add_span, &lanes);
    qsort(rows, lanes.n_rows, sizeof(*rows), by_target);
    return r;
}

/* ---- the answer ---- */

static int refuse(const struct query_context *context, const struct query_timeline_options *options,
                  struct error *reterr_error)
{
    if (options->buckets < 1 || options->buckets > QUERY_TIMELINE_MAX_BUCKETS) {
        error_set(reterr_error, "invalid_params", "buckets: must be 1 to %u, not %u",
                  QUERY_TIMELINE_MAX_BUCKETS, options->buckets);
        return -EINVAL;
    }
    if (context->view->n_exclude > 0 || context->view->n_focus > 0) {
        error_set(reterr_error, "not_supported",
                  "the timeline comes from the scheduler, which knows no stacks: it takes neither "
                  "exclude nor focus");
        error_hint(reterr_error, "`stax flame --from … --to …` shows the stacks of a range");
        return -EINVAL;
    }
    if (context->snapshot->has_no_switches) {
        error_set(reterr_error, "not_supported", "%s", ATTRIBUTION_NO_SWITCHES);
        error_hint(reterr_error, ATTRIBUTION_NO_SWITCHES_HINT);
        return -EINVAL;
    }
    return 0;
}

static const char *hint_of(const struct work *work, size_t n_threads)
{
    const struct span_view *spans = work->attribution.span_view;
    if (spans && work->context->snapshot->spans_folded_until_ns > work->attribution.from_ns) {
        return "the earliest spans were folded away (--max-memory, --ring); "
               "`stax threads` counts them too";
    }
    if (work->steps.from_ns > work->attribution.from_ns) {
        return "the earliest switches were folded away (--max-memory, --ring); "
               "`stax threads` counts them too";
    }
    return n_threads > 0 ? NULL : "no thread lived in this range; `stax threads` lists them all";
}

int query_timeline(const struct query_context *context,
                   const struct query_timeline_options *options, struct timeline_result *ret_result,
                   struct error *reterr_error)
{
    struct work work = {.context = context};
    struct candidate *candidates = NULL;
    size_t n_threads = 0;
    int r = refuse(context, options, reterr_error);
    r = r ? r : attribution_compute(context, &work.attribution, reterr_error);
    r = r ? r : choose(&work, &candidates, &n_threads);
    if (r != 0) {
        return r;
    }
    size_t n_rows = options->limit > 0 && n_threads > options->limit ? options->limit : n_threads;
    size_t n_lanes = count_lanes(&work);
    struct timeline_row *rows = arena_alloc_array(context->arena, n_rows + n_lanes, sizeof(*rows));
    bool *is_wanted = arena_alloc_array(context->arena, context->snapshot->n_threads, sizeof(bool));
    if (!rows || !is_wanted) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n_rows; i++) {
        is_wanted[candidates[i].thread] = true;
    }
    cut_range(&work, options->buckets);
    r = thread_steps_build(context->snapshot, work.attribution.from_ns, work.attribution.to_ns,
                           is_wanted, context->arena, &work.steps);
    for (size_t i = 0; r == 0 && i < n_rows; i++) {
        r = fill_row(&work, candidates[i].thread, &rows[i]);
    }
    r = r ? r : fill_lanes(&work, rows + n_rows);
    if (r != 0) {
        return r;
    }
    *ret_result = (struct timeline_result){
        .run = attribution_stamp(context),
        .view = work.attribution.echo,
        .totals = work.attribution.totals,
        .buckets = work.n_buckets,
        .bucket_ns = work.bucket_ns,
        .known_ns = relative_ns(work.steps.from_ns, context->snapshot->start_ns),
        .threads = n_threads + n_lanes,
        .n_rows = n_rows + n_lanes,
        .rows = rows,
        .hint = hint_of(&work, n_threads + n_lanes),
    };
    return 0;
}
