/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "base/time_sum.h"
#include "query/attribution.h"
#include "query/span_figures.h"
#include "query/span_hint.h"
#include "query/span_path.h"

struct ranking {
    const struct snapshot *snapshot;
    enum target_top_sort sort;
};

static uint64_t avg_ns(const struct span_figure *figure)
{
    return figure->n_spans > 0 ? figure->length_ns / figure->n_spans : 0;
}

static uint64_t rank_of(const struct span_figure *figure, enum target_top_sort sort)
{
    switch (sort) {
    case TARGET_TOP_SORT_TIME:
        break;
    case TARGET_TOP_SORT_COUNT:
        return figure->n_spans;
    case TARGET_TOP_SORT_AVG:
        return avg_ns(figure);
    case TARGET_TOP_SORT_MAX:
        return figure->max_ns;
    case TARGET_TOP_SORT_P95:
        return figure->p95_ns;
    case TARGET_TOP_SORT_P99:
        return figure->p99_ns;
    }
    return figure->total_ns;
}

static int by_rank(const void *left, const void *right, void *userdata)
{
    const struct span_figure *a = left, *b = right;
    const struct ranking *ranking = userdata;
    uint64_t rank_a = rank_of(a, ranking->sort), rank_b = rank_of(b, ranking->sort);
    if (rank_a != rank_b) {
        return rank_a > rank_b ? -1 : 1;
    }
    if (a->total_ns != b->total_ns) {
        return a->total_ns > b->total_ns ? -1 : 1;
    }
    return span_path_compare(ranking->snapshot, a->lane, a->name, b->lane, b->name);
}

static int fill_row(const struct span_figure *figure, struct span_paths *paths, uint64_t target_ns,
                    struct target_top_row *row)
{
    const struct snapshot *snapshot = paths->context->snapshot;
    const struct lane_totals *lane = &snapshot->lanes[figure->lane];
    struct span_path path;
    int r = span_paths_get(paths, figure->name, &path);
    if (r != 0) {
        return r;
    }
    *row = (struct target_top_row){
        .name = snapshot_span_name(snapshot, figure->name).text,
        .n_path = path.n_names,
        .path = path.names,
        .lane = lane->name,
        .tid = LANE_TID_FIRST + figure->lane,
        .pid = lane->pid,
        .kind = (enum lane_kind)lane->kind,
        .spans = figure->n_spans,
        .total_ns = figure->total_ns,
        .avg_ns = avg_ns(figure),
        .min_ns = figure->min_ns,
        .max_ns = figure->max_ns,
        .p50_ns = figure->p50_ns,
        .p95_ns = figure->p95_ns,
        .p99_ns = figure->p99_ns,
        .waits = figure->n_waited,
        .waited_ns = figure->waited_ns,
        .total_pct = target_ns > 0 ? 100.0 * (double)figure->total_ns / (double)target_ns : 0,
    };
    /* Inner spans that ran side by side can take more time than what they are inside of. */
    row->total_pct = row->total_pct > 100.0 ? 100.0 : row->total_pct;
    return 0;
}

static int fill_rows(const struct query_context *context, struct span_figures *figures,
                     const struct query_target_top_options *options,
                     struct target_top_result *result)
{
    struct ranking ranking = {.snapshot = context->snapshot, .sort = options->sort};
    struct span_paths paths;
    int r = span_paths_init(context, &paths);
    for (size_t i = 0; i < figures->n_rows; i++) {
        result->spans += figures->rows[i].n_spans;
        uint64_t outermost_ns = figures->rows[i].is_outermost ? figures->rows[i].total_ns : 0;
        result->target_ns = time_sum_ns(result->target_ns, outermost_ns);
    }
    if (figures->n_rows > 1) {
        qsort_r(figures->rows, figures->n_rows, sizeof(*figures->rows), by_rank, &ranking);
    }
    size_t limit = options->limit;
    result->names = figures->n_rows;
    result->n_rows = limit > 0 && figures->n_rows > limit ? limit : figures->n_rows;
    result->rows = arena_alloc_array(context->arena, result->n_rows, sizeof(*result->rows));
    if (!result->rows) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < result->n_rows && r == 0; i++) {
        r = fill_row(&figures->rows[i], &paths, result->target_ns, &result->rows[i]);
    }
    return r;
}

int query_target_top(const struct query_context *context,
                     const struct query_target_top_options *options,
                     struct target_top_result *ret_result, struct error *reterr_error)
{
    const struct span_figures_wishes wishes = {.quantiles = true};
    struct span_view view;
    struct span_figures figures;
    int r = span_view_make(context, &options->choice, &view, reterr_error);
    r = r ? r : span_figures_compute(&view, &wishes, &figures);
    if (r != 0) {
        return r;
    }
    *ret_result = (struct target_top_result){
        .run = attribution_stamp(context),
        .view = view_range_echo(context, &view.range),
        .sort = options->sort,
        .partial = figures.is_partial,
    };
    r = fill_rows(context, &figures, options, ret_result);
    ret_result->hint = span_hint(&view, &options->sources, ret_result->spans, ret_result->partial);
    return r;
}
