/* SPDX-License-Identifier: MIT */
/* The views of what programs report themselves. */
#include <stddef.h>

#include "model/requests.h"
#include "query/query.h"
#include "server/handlers.h"
#include "server/run_choice.h"

/* Who could report spans, where the run is recorded here. */
static struct query_span_sources sources_of(const struct call *call)
{
    int64_t n_programs = run_count_span_programs(call->run);
    return (struct query_span_sources){
        .is_known = n_programs >= 0,
        .n_connected = n_programs > 0 ? (uint32_t)n_programs : 0,
        .n_children = run_count_span_children(call->run),
    };
}

_Static_assert(offsetof(struct target_lanes_request, view) == 0, "handlers_answer_view()");

static int answer_lanes(struct call *call, const struct query_context *context)
{
    const struct target_lanes_request *request = call->params;
    const struct query_target_lanes_options options = {
        .choice = {.lane = request->lane, .name = request->name},
        .sources = sources_of(call),
        .limit = request->limit,
    };
    return query_target_lanes(context, &options, call->result, &call->error);
}

static int work_lanes(struct call *call)
{
    return handlers_answer_view(call, answer_lanes);
}

void handle_profile_target_lanes(struct call *call)
{
    handlers_ask_view(call, work_lanes);
}

_Static_assert(offsetof(struct target_top_request, view) == 0, "handlers_answer_view()");

static int answer_top(struct call *call, const struct query_context *context)
{
    const struct target_top_request *request = call->params;
    const struct query_target_top_options options = {
        .choice = {.lane = request->lane, .name = request->name},
        .sources = sources_of(call),
        .sort = request->sort,
        .limit = request->limit,
    };
    return query_target_top(context, &options, call->result, &call->error);
}

static int work_top(struct call *call)
{
    return handlers_answer_view(call, answer_top);
}

void handle_profile_target_top(struct call *call)
{
    handlers_ask_view(call, work_top);
}

_Static_assert(offsetof(struct target_spans_request, view) == 0, "handlers_answer_view()");

static int answer_spans(struct call *call, const struct query_context *context)
{
    const struct target_spans_request *request = call->params;
    const struct query_target_spans_options options = {
        .choice = {.lane = request->lane, .name = request->name},
        .sources = sources_of(call),
        .order = request->order,
        .limit = request->limit,
        .max_frames = request->max_frames,
    };
    return query_target_spans(context, &options, call->result, &call->error);
}

static int work_spans(struct call *call)
{
    return handlers_answer_view(call, answer_spans);
}

void handle_profile_target_spans(struct call *call)
{
    handlers_ask_view(call, work_spans);
}

_Static_assert(offsetof(struct target_origins_request, view) == 0, "handlers_answer_view()");

static int answer_origins(struct call *call, const struct query_context *context)
{
    const struct target_origins_request *request = call->params;
    const struct query_target_origins_options options = {
        .choice = {.lane = request->lane, .name = request->name},
        .sources = sources_of(call),
        .by = request->by,
        .limit = request->limit,
        .max_frames = request->max_frames,
    };
    return query_target_origins(context, &options, call->result, &call->error);
}

static int work_origins(struct call *call)
{
    return handlers_answer_view(call, answer_origins);
}

void handle_profile_target_origins(struct call *call)
{
    handlers_ask_view(call, work_origins);
}
