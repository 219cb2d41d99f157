/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "query/object_text.h"
#include "query/stack_frames.h"
#include "query/wait_groups.h"

static double pct(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0.0;
}

static int by_weight(const void *left, const void *right, void *userdata)
{
    const uint32_t *a = left, *b = right;
    const struct wait_group *groups = userdata;
    if (groups[*a].blocked_ns != groups[*b].blocked_ns) {
        return groups[*a].blocked_ns > groups[*b].blocked_ns ? -1 : 1;
    }
    if (groups[*a].n_waits != groups[*b].n_waits) {
        return groups[*a].n_waits > groups[*b].n_waits ? -1 : 1;
    }
    return *a < *b ? -1 : *a > *b;
}

/* The groups by weight; those of the first n_rows are to be looked at. */
static int choose(const struct query_context *context, const struct wait_groups *groups,
                  uint32_t limit, uint32_t **ret_order, size_t *ret_n_rows, uint8_t **ret_is_wanted)
{
    size_t n = groups->n_groups;
    uint32_t *order = arena_alloc_array(context->arena, n, sizeof(*order));
    uint8_t *is_wanted = arena_alloc(context->arena, n);
    if (!order || !is_wanted) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        order[i] = (uint32_t)i;
    }
    qsort_r(order, n, sizeof(*order), by_weight, groups->groups);
    size_t n_rows = limit > 0 && n > limit ? limit : n;
    for (size_t i = 0; i < n_rows; i++) {
        is_wanted[order[i]] = 1;
    }
    *ret_order = order;
    *ret_n_rows = n_rows;
    *ret_is_wanted = is_wanted;
    return 0;
}

static const char *name_object(const struct query_context *context, const struct wait_group *group)
{
    if (group->object == 0) {
        return NULL;
    }
    struct wait_object object = snapshot_wait_object(context->snapshot, group->object);
    const char *text = object_text(&object, context->objects, context->arena);
    if (!text || group->n_objects < 2) {
        return text;
    }
    return arena_printf(context->arena, "%s and %" PRIu64 " more", text, group->n_objects - 1);
}

static int fill_row(const struct query_context *context,
                    const struct query_off_cpu_options *options, const struct totals *totals,
                    struct wait_group *group, struct off_cpu_row *row)
{
    const struct snapshot *snapshot = context->snapshot;
    bool has_thread = group->thread != THREAD_ID_NONE;
    /* What was taken off to make sums exact was not taken off single waits. */
    uint64_t p50_ns = wait_lengths_median(&group->lengths);
    *row = (struct off_cpu_row){
        .reason = group->reason,
        .count = group->n_waits,
        .open = group->n_open,
        .total_ns = group->blocked_ns,
        .max_ns = group->max_ns,
        .p50_ns = p50_ns < group->max_ns ? p50_ns : group->max_ns,
        .share_pct = pct(group->blocked_ns, totals->off_cpu_ns),
        .wait_site = group->cause->site[0] ? group->cause->site : NULL,
        .frames = stack_frames_count(context, group->stack),
        .approximate = group->is_approximate,
        .complete = group->is_complete,
        .tid = has_thread ? snapshot->threads[group->thread].tid : 0,
        .thread = has_thread ? snapshot->threads[group->thread].name : NULL,
        .object = name_object(context, group),
    };
    return frames_of_stack(context, group->stack, options->max_frames, &row->stack, &row->n_stack);
}

/* Whose totals are not told by rows that the limit leaves out. */
static void sum_up(const struct wait_groups *groups, struct off_cpu_result *result)
{
    for (size_t i = 0; i < groups->n_groups; i++) {
        result->waits += groups->groups[i].n_waits;
        result->open += groups->groups[i].n_open;
        result->selected_ns += groups->groups[i].blocked_ns;
    }
}

static const char *hint_of(const struct query_context *context,
                           const struct query_off_cpu_options *options,
                           const struct attribution *attribution, const struct wait_groups *groups)
{
    if (groups->n_groups == 0 && options->has_reason && attribution->totals.off_cpu_ns > 0) {
        return arena_printf(context->arena,
                            "no thread waited for the reason %s; `stax off-cpu --by reason` shows "
                            "which there are",
                            wait_reason_name(options->reason));
    }
    bool has_stacks = false, is_approximate = false;
    for (size_t i = 0; i < groups->n_groups; i++) {
        has_stacks = has_stacks || groups->groups[i].stack != STACK_ID_EMPTY;
        is_approximate = is_approximate || groups->groups[i].is_approximate;
    }
    if (groups->n_groups > 0 && !has_stacks) {
        return "no wait has a stack: `stax doctor` says what this host keeps from being recorded";
    }
    if (is_approximate) {
        return "~ marks waits whose place was found by a look now and then; `stax doctor` says how "
               "to get exact ones";
    }
    return attribution_wait_hint(context, attribution);
}

int query_off_cpu(const struct query_context *context, const struct query_off_cpu_options *options,
                  struct off_cpu_result *ret_result, struct error *reterr_error)
{
    struct attribution attribution;
    struct wait_groups groups;
    uint32_t *order = NULL;
    uint8_t *is_wanted = NULL;
    size_t n_rows = 0;
    const struct wait_groups_options grouping = {
        .by = options->by, .has_reason = options->has_reason, .reason = options->reason};
    _cleanup_(wait_causes_releasep) struct wait_causes causes;
    int r = wait_causes_init(context, &causes);
    r = r ? r : attribution_compute_threads(context, &attribution, reterr_error);
    r = r ? r : wait_groups_make(context, &attribution, &causes, &grouping, &groups);
    r = r ? r : choose(context, &groups, options->limit, &order, &n_rows, &is_wanted);
    r = r ? r : wait_groups_look(context, &attribution, is_wanted, &groups);
    struct off_cpu_row *rows = arena_alloc_array(context->arena, n_rows, sizeof(*rows));
    if (r != 0 || !rows) {
        return r ? r : -ENOMEM;
    }
    for (size_t i = 0; i < n_rows && r == 0; i++) {
        r = fill_row(context, options, &attribution.totals, &groups.groups[order[i]], &rows[i]);
    }
    if (r != 0) {
        return r;
    }
    *ret_result = (struct off_cpu_result){
        .run = attribution_stamp(context),
        .view = attribution.echo,
        .by = options->by,
        .totals = attribution.totals,
        .all_rows = groups.n_groups,
        .n_rows = n_rows,
        .rows = rows,
        .hint = hint_of(context, options, &attribution, &groups),
    };
    sum_up(&groups, ret_result);
    return 0;
}
