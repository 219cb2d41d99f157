/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/time_sum.h"
#include "query/attribution.h"
#include "query/span_figures.h"
#include "query/span_hint.h"

static int by_time(const void *left, const void *right)
{
    const struct target_lane_row *a = left, *b = right;
    if (a->total_ns != b->total_ns) {
        return a->total_ns > b->total_ns ? -1 : 1;
    }
    int order = strcmp(a->name, b->name);
    return order ? order : a->tid < b->tid ? -1 : a->tid > b->tid;
}

/* Of the spans of a lane that the view has: absolute, 0 where there are none. */
struct lane_times {
    uint64_t first_ns, last_ns;
};

static void add_figure(const struct span_figure *figure, struct target_lane_row *row,
                       struct lane_times *times)
{
    row->spans += figure->n_spans;
    row->names++;
    row->total_ns = time_sum_ns(row->total_ns, figure->is_outermost ? figure->total_ns : 0);
    row->waits += figure->n_waited;
    row->waited_ns = time_sum_ns(row->waited_ns, figure->waited_ns);
    if (figure->first_ns != 0 && (times->first_ns == 0 || figure->first_ns < times->first_ns)) {
        times->first_ns = figure->first_ns;
    }
    times->last_ns = figure->last_ns > times->last_ns ? figure->last_ns : times->last_ns;
    for (enum origin_state state = 0; state < ORIGIN_STATE_N; state++) {
        *origin_counts_at(&row->origins, state) += figure->states[state];
    }
}

static void finish_row(const struct span_view *view, uint32_t lane, const struct lane_times *times,
                       struct target_lane_row *row)
{
    const struct snapshot *snapshot = view->context->snapshot;
    const struct lane_totals *totals = &snapshot->lanes[lane];
    uint64_t view_ns = view->range.to_ns - view->range.from_ns;
    /* Where the view has all spans of the lane, it is known of those that are gone, too. */
    bool is_whole = !view->has_range && row->spans == totals->n_spans;
    row->tid = LANE_TID_FIRST + lane;
    row->pid = totals->pid;
    row->name = totals->name;
    row->kind = (enum lane_kind)totals->kind;
    row->load = view_ns > 0 ? (double)row->total_ns / (double)view_ns : 0;
    bool has_spans = row->spans > 0;
    uint64_t first_ns = is_whole ? totals->first_ns : times->first_ns;
    uint64_t last_ns = is_whole ? totals->last_ns : times->last_ns;
    /* By name there may have been no room for all of them. */
    for (enum origin_state state = 0; state < ORIGIN_STATE_N && is_whole; state++) {
        *origin_counts_at(&row->origins, state) = totals->states[state];
    }
    row->first_ns = has_spans ? span_view_relative_ns(snapshot, first_ns) : 0;
    row->last_ns = last_ns > snapshot->start_ns ? last_ns - snapshot->start_ns : 0;
}

/* Lanes without spans are rows where nothing restricts the view. */
static int make_rows(const struct span_view *view, const struct span_figures *figures,
                     struct target_lanes_result *result)
{
    const struct snapshot *snapshot = view->context->snapshot;
    struct target_lane_row *rows =
        arena_alloc_array(view->context->arena, snapshot->n_lanes, sizeof(*rows));
    struct lane_times *times =
        arena_alloc_array(view->context->arena, snapshot->n_lanes, sizeof(*times));
    if (!rows || !times) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < figures->n_rows; i++) {
        uint32_t lane = figures->rows[i].lane;
        add_figure(&figures->rows[i], &rows[lane], &times[lane]);
    }
    bool is_free = !view->has_range && !view->has_patterns && view->context->view->n_tids == 0;
    for (uint32_t i = 0; i < snapshot->n_lanes; i++) {
        if (rows[i].spans == 0 && !is_free) {
            continue;
        }
        finish_row(view, i, &times[i], &rows[i]);
        result->spans += rows[i].spans;
        result->target_ns = time_sum_ns(result->target_ns, rows[i].total_ns);
        rows[result->lanes++] = rows[i];
    }
    if (result->lanes > 1) {
        qsort(rows, result->lanes, sizeof(*rows), by_time);
    }
    result->rows = rows;
    return 0;
}

int query_target_lanes(const struct query_context *context,
                       const struct query_target_lanes_options *options,
                       struct target_lanes_result *ret_result, struct error *reterr_error)
{
    struct span_view view;
    struct span_figures figures;
    int r = span_view_make(context, &options->choice, &view, reterr_error);
    const struct span_figures_wishes wishes = {.times = r == 0 && view.has_patterns};
    r = r ? r : span_figures_compute(&view, &wishes, &figures);
    if (r != 0) {
        return r;
    }
    *ret_result = (struct target_lanes_result){
        .run = attribution_stamp(context),
        .view = view_range_echo(context, &view.range),
        .partial = figures.is_partial,
    };
    r = make_rows(&view, &figures, ret_result);
    size_t limit = options->limit;
    ret_result->n_rows = limit > 0 && ret_result->lanes > limit ? limit : ret_result->lanes;
    ret_result->hint = span_hint(&view, &options->sources, ret_result->spans, ret_result->partial);
    return r;
}
