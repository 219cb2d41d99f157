/* SPDX-License-Identifier: MIT */
#include "query/view_range.h"

#include <errno.h>

#include "base/clock.h"

static uint64_t resolve_time(const struct snapshot *snapshot, int64_t time_ns)
{
    uint64_t start_ns = snapshot->start_ns, end_ns = snapshot->now_ns;
    uint64_t length_ns = end_ns - start_ns;
    if (time_ns < 0) {
        uint64_t back_ns = (uint64_t)0 - (uint64_t)time_ns;
        return back_ns > length_ns ? start_ns : end_ns - back_ns;
    }
    return (uint64_t)time_ns > length_ns ? end_ns : start_ns + (uint64_t)time_ns;
}

int view_range_resolve(const struct query_context *context, struct view_range *ret_range,
                       struct error *reterr_error)
{
    const struct view *view = context->view;
    const struct snapshot *snapshot = context->snapshot;
    *ret_range = (struct view_range){
        .from_ns = view->has_from ? resolve_time(snapshot, view->from_ns) : snapshot->start_ns,
        .to_ns = view->has_to ? resolve_time(snapshot, view->to_ns) : snapshot->now_ns,
    };
    if (view_has_range(view) && ret_range->from_ns >= ret_range->to_ns) {
        error_set(reterr_error, "invalid_params",
                  "the range is empty: it begins at %.3f s and ends at %.3f s of a run of %.3f s",
                  (double)(ret_range->from_ns - snapshot->start_ns) / NS_PER_S,
                  (double)(ret_range->to_ns - snapshot->start_ns) / NS_PER_S,
                  (double)(snapshot->now_ns - snapshot->start_ns) / NS_PER_S);
        error_hint(reterr_error,
                   "times count from the start of the run, negative ones from its end");
        return -EINVAL;
    }
    return 0;
}

struct view_echo view_range_echo(const struct query_context *context,
                                 const struct view_range *range)
{
    const struct view *view = context->view;
    return (struct view_echo){
        .n_tids = view->n_tids,
        .tids = view->tids,
        .from_ns = range->from_ns - context->snapshot->start_ns,
        .to_ns = range->to_ns - context->snapshot->start_ns,
        .n_exclude = view->n_exclude,
        .exclude = view->exclude,
        .n_focus = view->n_focus,
        .focus = view->focus,
    };
}

bool view_has_tid(const struct view *view, int64_t tid)
{
    for (size_t i = 0; i < view->n_tids; i++) {
        if (view->tids[i] == tid) {
            return true;
        }
    }
    return view->n_tids == 0;
}
