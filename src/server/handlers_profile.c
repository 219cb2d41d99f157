/* SPDX-License-Identifier: MIT */
/*
 * The views: each handler finds the run that is meant, the pool takes a
 * snapshot of it and asks the query. A new view is one answer, the two
 * functions that lead to it, one row in method_table.c.
 */
#include <errno.h>
#include <stddef.h>

#include "model/requests.h"
#include "query/object_text.h"
#include "query/query.h"
#include "query/query_names.h"
#include "server/handlers.h"
#include "server/run_choice.h"
#include "server/run_object_namer.h"
#include "server/run_unrecorded.h"

/*
 * Of a live run the names come as they are read, and the next answer has more.
 * A finished one is asked once, right after it ended: its first answer waits.
 */
#define NAMES_WAIT_MS 1000
#define LINES_WAIT_MS 300 /* inlined functions: a large program has more than it can wait for */

int handlers_take_snapshot(struct call *call, struct run *run, const struct view *view,
                           struct query_context *ret_context)
{
    /* The state first: a run that stops in between is then told as recording, not the reverse. */
    enum run_state state = run_get_state(run);
    struct snapshot *snapshot = run_take_snapshot(run);
    if (!snapshot) {
        error_set(&call->error, "busy", "no memory for a snapshot of run %u", run_get_id(run));
        return -ENOMEM;
    }
    if (state != RUN_STATE_RECORDING) {
        query_names_settle(run_get_names(run), NAMES_WAIT_MS);
        query_names_settle_chains(run_get_names(run), snapshot, LINES_WAIT_MS);
        run_settle_jit(run, NAMES_WAIT_MS);
    }
    struct object_namer *objects = arena_alloc(&call->arena, sizeof(*objects));
    if (objects) {
        *objects = run_object_namer(run);
    }
    *ret_context = (struct query_context){
        .snapshot = snapshot,
        .names = run_get_names(run),
        .view = view,
        .run = run_get_id(run),
        .state = state,
        .arena = &call->arena,
        .objects = objects,
    };
    return 0;
}

/* Each request begins with its view. */
static const struct view *view_of(const struct call *call)
{
    return call->params;
}

int handlers_answer_view(struct call *call, handlers_answer_cb answer)
{
    struct query_context context;
    int r = handlers_take_snapshot(call, call->run, view_of(call), &context);
    if (r < 0) {
        return r;
    }
    r = answer(call, &context);
    snapshot_unref(context.snapshot);
    return r;
}

void handlers_ask_view(struct call *call, call_work_cb work)
{
    if (run_choice_for_query(call, view_of(call)->run)) {
        call_work(call, work);
    }
}

_Static_assert(offsetof(struct top_request, view) == 0, "handlers_answer_view()");

static int answer_top(struct call *call, const struct query_context *context)
{
    const struct top_request *request = call->params;
    const struct query_top_options options = {
        .sort = request->sort,
        .group = request->group,
        .limit = request->limit,
    };
    return query_top(context, &options, call->result, &call->error);
}

static int work_top(struct call *call)
{
    return handlers_answer_view(call, answer_top);
}

void handle_profile_top(struct call *call)
{
    handlers_ask_view(call, work_top);
}

_Static_assert(offsetof(struct flame_request, view) == 0, "handlers_answer_view()");

static int answer_flame(struct call *call, const struct query_context *context)
{
    const struct flame_request *request = call->params;
    const struct query_flame_options options = {
        .max_depth = request->max_depth,
        .threshold_pct = request->threshold_pct,
        .invert = request->invert,
    };
    return query_flame(context, &options, call->result, &call->error);
}

static int work_flame(struct call *call)
{
    return handlers_answer_view(call, answer_flame);
}

void handle_profile_flame(struct call *call)
{
    handlers_ask_view(call, work_flame);
}

_Static_assert(offsetof(struct threads_request, view) == 0, "handlers_answer_view()");

static int answer_threads(struct call *call, const struct query_context *context)
{
    const struct threads_request *request = call->params;
    const struct query_threads_options options = {.limit = request->limit};
    return query_threads(context, &options, call->result, &call->error);
}

static int work_threads(struct call *call)
{
    return handlers_answer_view(call, answer_threads);
}

void handle_profile_threads(struct call *call)
{
    handlers_ask_view(call, work_threads);
}

_Static_assert(offsetof(struct off_cpu_request, view) == 0, "handlers_answer_view()");

static int answer_off_cpu(struct call *call, const struct query_context *context)
{
    const struct off_cpu_request *request = call->params;
    const struct query_off_cpu_options options = {
        .by = request->by,
        .has_reason = request->has_reason,
        .reason = request->reason,
        .limit = request->limit,
        .max_frames = request->max_frames,
    };
    return query_off_cpu(context, &options, call->result, &call->error);
}

static int work_off_cpu(struct call *call)
{
    return handlers_answer_view(call, answer_off_cpu);
}

void handle_profile_off_cpu(struct call *call)
{
    handlers_ask_view(call, work_off_cpu);
}

/* Where a run knows of no wakeup: why its host told of none; NULL where it did. */
static const char *why_unrecorded(struct call *call, const struct query_context *context)
{
    return context->snapshot->n_wakeups > 0
               ? NULL
               : run_unrecorded(call->run, CAPABILITY_WAKEUPS, &call->arena);
}

_Static_assert(offsetof(struct counters_request, view) == 0, "handlers_answer_view()");

static int answer_counters(struct call *call, const struct query_context *context)
{
    const struct counters_request *request = call->params;
    const struct counter_set *set = run_get_counters(call->run);
    const struct query_counters_options options = {
        .by = request->by,
        .limit = request->limit,
        .set = set,
        .unrecorded =
            set->is_wanted ? NULL : run_unrecorded(call->run, CAPABILITY_COUNTERS, &call->arena),
    };
    return query_counters(context, &options, call->result, &call->error);
}

static int work_counters(struct call *call)
{
    return handlers_answer_view(call, answer_counters);
}

void handle_profile_counters(struct call *call)
{
    handlers_ask_view(call, work_counters);
}

_Static_assert(offsetof(struct neighbors_request, view) == 0, "handlers_answer_view()");

static int answer_neighbors(struct call *call, const struct query_context *context)
{
    const struct neighbors_request *request = call->params;
    const struct query_neighbors_options options = {
        .function = request->function,
        .limit = request->limit,
    };
    return query_neighbors(context, &options, call->result, &call->error);
}

static int work_neighbors(struct call *call)
{
    return handlers_answer_view(call, answer_neighbors);
}

void handle_profile_neighbors(struct call *call)
{
    handlers_ask_view(call, work_neighbors);
}

_Static_assert(offsetof(struct intervals_request, view) == 0, "handlers_answer_view()");

static int answer_intervals(struct call *call, const struct query_context *context)
{
    const struct intervals_request *request = call->params;
    const struct query_intervals_options options = {
        .order = request->order,
        .has_reason = request->has_reason,
        .reason = request->reason,
        .no_stacks = request->no_stacks,
        .limit = request->limit,
        .max_frames = request->max_frames,
    };
    return query_intervals(context, &options, call->result, &call->error);
}

static int work_intervals(struct call *call)
{
    return handlers_answer_view(call, answer_intervals);
}

void handle_profile_intervals(struct call *call)
{
    handlers_ask_view(call, work_intervals);
}

_Static_assert(offsetof(struct wakers_request, view) == 0, "handlers_answer_view()");

static int answer_wakers(struct call *call, const struct query_context *context)
{
    const struct wakers_request *request = call->params;
    const struct query_wakers_options options = {
        .by_stack = request->by_stack,
        .chain = request->chain,
        .limit = request->limit,
        .max_frames = request->max_frames,
        .unrecorded = why_unrecorded(call, context),
    };
    return query_wakers(context, &options, call->result, &call->error);
}

static int work_wakers(struct call *call)
{
    return handlers_answer_view(call, answer_wakers);
}

void handle_profile_wakers(struct call *call)
{
    handlers_ask_view(call, work_wakers);
}

_Static_assert(offsetof(struct timeline_request, view) == 0, "handlers_answer_view()");

static int answer_timeline(struct call *call, const struct query_context *context)
{
    const struct timeline_request *request = call->params;
    const struct query_timeline_options options = {
        .buckets = request->buckets,
        .limit = request->limit,
    };
    return query_timeline(context, &options, call->result, &call->error);
}

static int work_timeline(struct call *call)
{
    return handlers_answer_view(call, answer_timeline);
}

void handle_profile_timeline(struct call *call)
{
    handlers_ask_view(call, work_timeline);
}

_Static_assert(offsetof(struct why_request, view) == 0, "handlers_answer_view()");

static int answer_why(struct call *call, const struct query_context *context)
{
    const struct why_request *request = call->params;
    const struct query_why_options options = {
        .limit = request->limit,
        .max_frames = request->max_frames,
        .unrecorded = why_unrecorded(call, context),
    };
    return query_why(context, &options, call->result, &call->error);
}

static int work_why(struct call *call)
{
    return handlers_answer_view(call, answer_why);
}

void handle_profile_why(struct call *call)
{
    handlers_ask_view(call, work_why);
}

_Static_assert(offsetof(struct annotate_request, view) == 0, "handlers_answer_view()");

static int answer_annotate(struct call *call, const struct query_context *context)
{
    const struct annotate_request *request = call->params;
    const struct query_annotate_options options = {
        .function = request->function,
        .no_source = request->no_source,
        .n_source_map = request->n_source_map,
        .source_map = request->source_map,
        .code = {.is_target_alive = context->state == RUN_STATE_RECORDING},
    };
    return query_annotate(context, &options, call->result, &call->error);
}

static int work_annotate(struct call *call)
{
    return handlers_answer_view(call, answer_annotate);
}

void handle_profile_annotate(struct call *call)
{
    handlers_ask_view(call, work_annotate);
}
