/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/time_sum.h"
#include "query/attribution.h"
#include "query/queueing_stack.h"
#include "query/shown_stacks.h"
#include "query/span_hint.h"
#include "query/span_origins.h"
#include "query/span_path.h"
#include "query/stack_paths.h"

/* One of the sums, and which row it belongs to. Origins and waits are alike here. */
struct item {
    uint32_t lane, name;
    thread_id thread;
    stack_id stack;
    uint8_t state;
    uint32_t path; /* of the part of the stack that queued it, by functions */
    uint64_t count, time_ns;
};

/* Items of one row: those from `first` on, the heaviest name first. */
struct group {
    size_t first, n;
    uint64_t count, time_ns;
    uint64_t n_names;
    const struct item *heaviest; /* the name with most time, … */
    stack_id stack;              /* … and the stack */
};

struct work {
    const struct query_context *context;
    const struct query_target_origins_options *options;
    const struct snapshot *snapshot;
    struct span_view view;
    struct stack_paths paths;
    struct shown_stacks stacks;
    struct target_origins_result *result;
};

/* ---- grouping ---- */

static int compare_u64(uint64_t left, uint64_t right)
{
    return left < right ? -1 : left > right;
}

/* Rows of what is linked are threads and stacks, others are kinds of trouble. */
static int compare_rows(const struct work *work, const struct item *a, const struct item *b)
{
    int order = compare_u64(a->state, b->state);
    if (a->state == ORIGIN_LINKED) {
        order = order ? order : compare_u64(a->thread, b->thread);
        order = order ? order : compare_u64(a->path, b->path);
    }
    if (order == 0 && work->options->by == TARGET_ORIGINS_BY_NAME) {
        order = compare_u64(a->lane, b->lane);
        order = order ? order : compare_u64(a->name, b->name);
    }
    return order;
}

static int by_row(const void *left, const void *right, void *userdata)
{
    const struct item *a = left, *b = right;
    int order = compare_rows(userdata, a, b);
    order = order ? order : compare_u64(a->lane, b->lane);
    order = order ? order : compare_u64(a->name, b->name);
    order = order ? order : compare_u64(a->thread, b->thread);
    return order ? order : compare_u64(a->stack, b->stack);
}

/* Does the row have spans of a name that this one is inside of, on the same lane? */
static bool is_inside_another(const struct work *work, const struct item *items,
                              const struct group *group, const struct item *item)
{
    for (uint32_t outer = snapshot_span_name(work->snapshot, item->name).parent; outer != 0;
         outer = snapshot_span_name(work->snapshot, outer).parent) {
        size_t low = group->first, high = group->first + group->n;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            bool is_before = items[middle].lane < item->lane ||
                             (items[middle].lane == item->lane && items[middle].name < outer);
            low = is_before ? middle + 1 : low;
            high = is_before ? high : middle;
        }
        if (low < group->first + group->n && items[low].lane == item->lane &&
            items[low].name == outer) {
            return true;
        }
    }
    return false;
}

static void sum_up(const struct work *work, const struct item *items, bool is_nested,
                   struct group *group)
{
    uint64_t heaviest_ns = 0, name_ns = 0, stack_ns = 0;
    const struct item *start = NULL;
    for (size_t i = 0; i < group->n; i++) {
        const struct item *item = &items[group->first + i];
        bool is_same = start && start->lane == item->lane && start->name == item->name;
        if (!is_same) {
            start = item;
            name_ns = 0;
            group->n_names++;
        }
        bool counts = !is_nested || !is_inside_another(work, items, group, item);
        group->count += item->count;
        group->time_ns = time_sum_ns(group->time_ns, counts ? item->time_ns : 0);
        name_ns = time_sum_ns(name_ns, counts ? item->time_ns : 0);
        if (!group->heaviest || name_ns > heaviest_ns) {
            group->heaviest = start;
            heaviest_ns = name_ns;
        }
        if (group->stack == STACK_ID_EMPTY || item->time_ns > stack_ns) {
            group->stack = item->stack != STACK_ID_EMPTY ? item->stack : group->stack;
            stack_ns = item->time_ns;
        }
    }
}

static int by_time(const void *left, const void *right, void *userdata)
{
    const struct group *a = left, *b = right;
    const struct work *work = userdata;
    int order = compare_u64(b->time_ns, a->time_ns);
    order = order ? order : compare_u64(b->count, a->count);
    if (order == 0) {
        order = span_path_compare(work->snapshot, a->heaviest->lane, a->heaviest->name,
                                  b->heaviest->lane, b->heaviest->name);
    }
    return order ? order : compare_rows(work, a->heaviest, b->heaviest);
}

/* The rows by time. 0 or -ENOMEM. */
static int group_items(struct work *work, struct item *items, size_t n_items, bool is_nested,
                       struct group **ret_groups, size_t *ret_n_groups)
{
    struct group *groups = arena_alloc_array(work->context->arena, n_items, sizeof(*groups));
    size_t n = 0;
    if (!groups) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n_items; i++) {
        stack_id stack = queueing_stack(work->context, items[i].stack);
        int r = stack_paths_get(&work->paths, stack, &items[i].path);
        if (r != 0) {
            return r;
        }
    }
    if (n_items > 1) {
        qsort_r(items, n_items, sizeof(*items), by_row, work);
    }
    for (size_t i = 0; i < n_items; i++) {
        if (i > 0 && compare_rows(work, &items[i - 1], &items[i]) == 0) {
            groups[n - 1].n++;
        } else {
            groups[n++] = (struct group){.first = i, .n = 1};
        }
    }
    for (size_t i = 0; i < n; i++) {
        sum_up(work, items, is_nested, &groups[i]);
    }
    if (n > 1) {
        qsort_r(groups, n, sizeof(*groups), by_time, work);
    }
    *ret_groups = groups;
    *ret_n_groups = n;
    return 0;
}

static size_t limited(const struct work *work, size_t n)
{
    size_t limit = work->options->limit;
    return limit > 0 && n > limit ? limit : n;
}

/* ---- who queued them ---- */

static int fill_origin(struct work *work, const struct group *group, const struct item *items,
                       struct target_origin_row *row)
{
    const struct snapshot *snapshot = work->snapshot;
    const struct item *first = &items[group->first];
    bool is_linked = first->state == ORIGIN_LINKED;
    bool has_thread = is_linked && first->thread < snapshot->n_threads;
    uint64_t target_ns = work->result->target_ns;
    struct shown_stack shown;
    int r = shown_stacks_get(&work->stacks, is_linked ? group->stack : STACK_ID_EMPTY, &shown);
    if (r != 0) {
        return r;
    }
    *row = (struct target_origin_row){
        .state = (enum origin_state)first->state,
        .tid = has_thread ? snapshot->threads[first->thread].tid : 0,
        .thread = has_thread ? snapshot->threads[first->thread].name : NULL,
        .lane = snapshot->lanes[group->heaviest->lane].name,
        .name = snapshot_span_name(snapshot, group->heaviest->name).text,
        .lane_tid = LANE_TID_FIRST + group->heaviest->lane,
        .names = group->n_names,
        .count = group->count,
        .total_ns = group->time_ns,
        .total_pct = target_ns > 0 ? 100.0 * (double)group->time_ns / (double)target_ns : 0,
        .n_stack = shown.n_frames,
        .stack = shown.frames,
        .n_inner = shown.n_frames > 0 ? queueing_stack_inner(work->context, group->stack) : 0,
    };
    row->total_pct = row->total_pct > 100.0 ? 100.0 : row->total_pct;
    return 0;
}

static int fill_origins(struct work *work, const struct span_origins *origins)
{
    struct target_origins_result *result = work->result;
    struct item *items =
        arena_alloc_array(work->context->arena, origins->n_origins, sizeof(*items));
    struct group *groups;
    size_t n_groups;
    if (!items) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < origins->n_origins; i++) {
        const struct origin_sums *sums = &origins->origins[i];
        items[i] = (struct item){
            .lane = sums->lane,
            .name = sums->name,
            .thread = sums->thread,
            .stack = sums->stack,
            .state = sums->state,
            .count = sums->n_spans,
            .time_ns = sums->total_ns,
        };
        result->spans += sums->n_spans;
        if (span_view_is_outermost(&work->view, sums->lane, sums->name, sums->stack)) {
            result->target_ns = time_sum_ns(result->target_ns, sums->total_ns);
        }
        *origin_counts_at(&result->origins, (enum origin_state)sums->state) += sums->n_spans;
    }
    int r = group_items(work, items, origins->n_origins, true, &groups, &n_groups);
    if (r != 0) {
        return r;
    }
    result->origin_rows = n_groups;
    result->n_rows = limited(work, n_groups);
    result->rows = arena_alloc_array(work->context->arena, result->n_rows, sizeof(*result->rows));
    if (!result->rows) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < result->n_rows && r == 0; i++) {
        r = fill_origin(work, &groups[i], items, &result->rows[i]);
    }
    return r;
}

/* ---- who waited ---- */

static int fill_waiter(struct work *work, const struct group *group, const struct item *items,
                       struct target_wait_row *row)
{
    const struct snapshot *snapshot = work->snapshot;
    thread_id thread = items[group->first].thread;
    bool has_thread = thread < snapshot->n_threads;
    struct shown_stack shown;
    int r = shown_stacks_get(&work->stacks, group->stack, &shown);
    if (r != 0) {
        return r;
    }
    *row = (struct target_wait_row){
        .tid = has_thread ? snapshot->threads[thread].tid : 0,
        .thread = has_thread ? snapshot->threads[thread].name : NULL,
        .lane = snapshot->lanes[group->heaviest->lane].name,
        .name = snapshot_span_name(snapshot, group->heaviest->name).text,
        .lane_tid = LANE_TID_FIRST + group->heaviest->lane,
        .names = group->n_names,
        .count = group->count,
        .waited_ns = group->time_ns,
        .n_stack = shown.n_frames,
        .stack = shown.frames,
        .n_inner = shown.n_frames > 0 ? queueing_stack_inner(work->context, group->stack) : 0,
    };
    return 0;
}

static int fill_waiters(struct work *work, const struct span_origins *origins)
{
    struct target_origins_result *result = work->result;
    struct item *items = arena_alloc_array(work->context->arena, origins->n_waits, sizeof(*items));
    struct group *groups;
    size_t n_groups;
    if (!items) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < origins->n_waits; i++) {
        const struct span_wait_sums *sums = &origins->waits[i];
        items[i] = (struct item){
            .lane = sums->lane,
            .name = sums->name,
            .thread = sums->thread,
            .stack = sums->stack,
            .state = ORIGIN_LINKED,
            .count = sums->n_waits,
            .time_ns = sums->waited_ns,
        };
        result->waits += sums->n_waits;
        result->waited_ns = time_sum_ns(result->waited_ns, sums->waited_ns);
    }
    int r = group_items(work, items, origins->n_waits, false, &groups, &n_groups);
    if (r != 0) {
        return r;
    }
    result->wait_rows = n_groups;
    result->n_waiters = limited(work, n_groups);
    result->waiters =
        arena_alloc_array(work->context->arena, result->n_waiters, sizeof(*result->waiters));
    if (!result->waiters) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < result->n_waiters && r == 0; i++) {
        r = fill_waiter(work, &groups[i], items, &result->waiters[i]);
    }
    return r;
}

/* ---- all of it ---- */

static struct origin_distance distance_of(const struct distance_figures *figures)
{
    return (struct origin_distance){
        .count = figures->n,
        .min_ns = figures->min_ns,
        .avg_ns = figures->n > 0 ? figures->sum_ns / figures->n : 0,
        .max_ns = figures->max_ns,
    };
}

int query_target_origins(const struct query_context *context,
                         const struct query_target_origins_options *options,
                         struct target_origins_result *ret_result, struct error *reterr_error)
{
    struct work work = {
        .context = context,
        .options = options,
        .snapshot = context->snapshot,
        .result = ret_result,
    };
    struct span_origins origins;
    int r = span_view_make(context, &options->choice, &work.view, reterr_error);
    r = r ? r : span_view_look_at_stacks(&work.view, reterr_error);
    r = r ? r : span_origins_compute(&work.view, &origins);
    r = r ? r : stack_paths_init(context, &work.paths);
    if (r != 0) {
        return r;
    }
    *ret_result = (struct target_origins_result){
        .run = attribution_stamp(context),
        .view = view_range_echo(context, &work.view.range),
        .by = options->by,
        .linked = distance_of(&origins.linked),
        .too_far = distance_of(&origins.too_far),
        .bound_ns = context->snapshot->origin_bound_ns,
        .partial = origins.is_partial,
    };
    shown_stacks_init(context, options->max_frames, &work.stacks);
    r = fill_origins(&work, &origins);
    r = r ? r : fill_waiters(&work, &origins);
    shown_stacks_release(&work.stacks);
    stack_paths_release(&work.paths);
    ret_result->hint = span_hint(&work.view, &options->sources,
                                 ret_result->spans + ret_result->waits, ret_result->partial);
    return r;
}
