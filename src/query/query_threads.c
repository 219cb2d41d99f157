/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "base/time_sum.h"
#include "query/attribution.h"
#include "query/wait_causes.h"

static int by_cpu(const void *left, const void *right)
{
    const struct thread_row *a = left, *b = right;
    if (a->cpu_ns != b->cpu_ns) {
        return a->cpu_ns > b->cpu_ns ? -1 : 1;
    }
    if (a->off_cpu_ns != b->off_cpu_ns) {
        return a->off_cpu_ns > b->off_cpu_ns ? -1 : 1;
    }
    return a->start_ns < b->start_ns ? -1 : a->start_ns > b->start_ns;
}

static uint64_t relative_ns(uint64_t time_ns, uint64_t start_ns)
{
    return time_ns > start_ns ? time_ns - start_ns : 0;
}

static void fill_row(const struct snapshot *snapshot, const struct attribution *attribution,
                     size_t thread, struct thread_row *row)
{
    const struct thread_totals *totals = &snapshot->threads[thread];
    const struct thread_share *share = &attribution->threads[thread];
    bool is_alive = totals->end_ns == 0;
    *row = (struct thread_row){
        .tid = totals->tid,
        .pid = totals->pid,
        .name = totals->name,
        .kind = THREAD_KIND_THREAD,
        .start_ns = relative_ns(totals->start_ns, snapshot->start_ns),
        .end_ns = relative_ns(is_alive ? attribution->to_ns : totals->end_ns, snapshot->start_ns),
        .is_alive = is_alive,
        .cpu_ns = share->cpu_ns,
        .runq_ns = share->runnable_ns,
        .off_cpu_ns = share->blocked_ns,
        .samples = share->kept_samples,
        .voluntary_switches = share->n_voluntary,
        .involuntary_switches = share->n_involuntary,
    };
}

/* ---- lanes ---- */

static int by_target(const void *left, const void *right)
{
    const struct thread_row *a = left, *b = right;
    if (a->target_ns != b->target_ns) {
        return a->target_ns > b->target_ns ? -1 : 1;
    }
    return a->tid < b->tid ? -1 : a->tid > b->tid;
}

static bool is_lane_in_view(const struct attribution *attribution, uint32_t lane)
{
    const struct span_view *view = attribution->span_view;
    const struct lane_totals *totals = &view->context->snapshot->lanes[lane];
    bool overlaps =
        totals->first_ns < attribution->to_ns && totals->last_ns >= attribution->from_ns;
    return view->lane_is_all[lane] && (overlaps || !view->has_range);
}

static size_t count_lanes(const struct snapshot *snapshot, const struct attribution *attribution)
{
    size_t n_lanes = 0;
    for (uint32_t i = 0; i < snapshot->n_lanes; i++) {
        n_lanes += is_lane_in_view(attribution, i);
    }
    return n_lanes;
}

/* A row for each lane of the view, by time. */
static void add_lanes(const struct snapshot *snapshot, const struct attribution *attribution,
                      struct thread_row *rows)
{
    const struct span_figures *spans = &attribution->spans;
    size_t n_rows = 0, row_at = 0;
    for (uint32_t i = 0; i < snapshot->n_lanes; i++) {
        const struct lane_totals *totals = &snapshot->lanes[i];
        if (!is_lane_in_view(attribution, i)) {
            continue;
        }
        struct thread_row *row = &rows[n_rows++];
        *row = (struct thread_row){
            .tid = LANE_TID_FIRST + i,
            .pid = totals->pid,
            .name = totals->name,
            .kind = THREAD_KIND_TARGET,
        };
        if (totals->n_spans > 0) {
            row->start_ns = relative_ns(totals->first_ns, snapshot->start_ns);
            row->end_ns = relative_ns(totals->last_ns, snapshot->start_ns);
        }
        while (row_at < spans->n_rows && spans->rows[row_at].lane < i) {
            row_at++;
        }
        for (; row_at < spans->n_rows && spans->rows[row_at].lane == i; row_at++) {
            const struct span_figure *figure = &spans->rows[row_at];
            row->target_ns =
                time_sum_ns(row->target_ns, figure->is_outermost ? figure->total_ns : 0);
            row->spans += figure->n_spans;
        }
    }
    if (n_rows > 1) {
        qsort(rows, n_rows, sizeof(*rows), by_target);
    }
}

/* ---- reasons ---- */

/* How long each thread was blocked for which reason: [thread][reason]. */
static int sum_reasons(const struct query_context *context, struct attribution *attribution,
                       uint64_t (**ret_sums)[WAIT_REASON_N])
{
    const struct wait_shares *waits;
    _cleanup_(wait_causes_releasep) struct wait_causes causes;
    int r = wait_causes_init(context, &causes);
    r = r ? r : attribution_waits(context, attribution, &waits);
    uint64_t(*sums)[WAIT_REASON_N] =
        arena_alloc_array(context->arena, context->snapshot->n_threads, sizeof(*sums));
    if (r != 0 || !sums) {
        return r ? r : -ENOMEM;
    }
    for (size_t i = 0; i < waits->n_rows; i++) {
        const struct wait_share *row = &waits->rows[i];
        const struct wait_cause_entry *cause = wait_causes_get(&causes, row->stack, row->object);
        if (!cause) {
            return -ENOMEM;
        }
        sums[row->thread][cause->reason] += row->blocked_ns;
    }
    *ret_sums = sums;
    return 0;
}

static void fill_reasons(const uint64_t sums[WAIT_REASON_N], struct thread_row *row)
{
    uint64_t largest_ns = 0;
    for (enum wait_reason reason = 0; reason < WAIT_REASON_N; reason++) {
        *off_cpu_by_reason_at(&row->off_cpu_by_reason_ns, reason) = sums[reason];
        if (sums[reason] > largest_ns) {
            largest_ns = sums[reason];
            row->blocked = wait_reason_name(reason);
        }
    }
}

int query_threads(const struct query_context *context, const struct query_threads_options *options,
                  struct threads_result *ret_result, struct error *reterr_error)
{
    struct attribution attribution;
    uint64_t(*reasons)[WAIT_REASON_N] = NULL;
    int r = attribution_compute_threads(context, &attribution, reterr_error);
    r = r ? r : sum_reasons(context, &attribution, &reasons);
    if (r != 0) {
        return r;
    }
    const struct snapshot *snapshot = context->snapshot;
    size_t n_lanes = count_lanes(snapshot, &attribution);
    struct thread_row *rows =
        arena_alloc_array(context->arena, snapshot->n_threads + n_lanes, sizeof(*rows));
    if (!rows) {
        return -ENOMEM;
    }
    size_t n_rows = 0;
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        if (attribution.threads[i].is_in_view) {
            fill_row(snapshot, &attribution, i, &rows[n_rows]);
            fill_reasons(reasons[i], &rows[n_rows++]);
        }
    }
    qsort(rows, n_rows, sizeof(*rows), by_cpu);
    /* Lanes are few, and nobody finds one that is cut off: all are told, behind the threads. */
    size_t n_shown = options->limit > 0 && n_rows > options->limit ? options->limit : n_rows;
    add_lanes(snapshot, &attribution, rows + n_shown);
    *ret_result = (struct threads_result){
        .run = attribution_stamp(context),
        .view = attribution.echo,
        .totals = attribution.totals,
        .threads = n_rows + n_lanes,
        .n_rows = n_shown + n_lanes,
        .rows = rows,
        .hint = n_rows + n_lanes > 0 ? NULL : attribution_hint(context, &attribution),
    };
    return 0;
}
