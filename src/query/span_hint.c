/* SPDX-License-Identifier: MIT */
#include "query/span_hint.h"

#include <inttypes.h>

static uint64_t n_lost(const struct snapshot *snapshot)
{
    uint64_t n = 0;
    for (size_t i = 0; i < EVENT_SPANS_LOST_CAUSE_N; i++) {
        n += snapshot->spans_lost[i];
    }
    return n;
}

static uint64_t n_spans_of_run(const struct snapshot *snapshot)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < snapshot->n_lanes; i++) {
        n += snapshot->lanes[i].n_spans;
    }
    return n;
}

/* Nobody has reported a span: how far did it come? */
static const char *hint_of_none(const struct span_view *view,
                                const struct query_span_sources *sources)
{
    const struct query_context *context = view->context;
    uint64_t lost = n_lost(context->snapshot);
    if (lost > 0) {
        return arena_printf(context->arena,
                            "all %" PRIu64 " spans that were reported have been dropped: "
                            "`stax diagnose` says why",
                            lost);
    }
    if (context->snapshot->n_lanes > 0) {
        return "there are lanes, but no span has ended: one is told when it ends, by "
               "stax_span_end() or stax_span_report()";
    }
    if (sources->is_known && sources->n_connected > 0) {
        return "a program is connected, but has reported nothing: spans need a lane "
               "(stax_lane_new()) and an end (stax_span_end()); see man libstax-target";
    }
    if (sources->n_children > 0) {
        return arena_printf(context->arena,
                            "%" PRIu32 " program%s that report%s spans %s of the target and not "
                            "recorded: record --children",
                            sources->n_children, sources->n_children == 1 ? "" : "s",
                            sources->n_children == 1 ? "s" : "",
                            sources->n_children == 1 ? "is a child" : "are children");
    }
    return "no program of this run reports spans: link libstax-target (pkg-config stax-target), "
           "or, if it speaks NVTX or ITT, launch it with `stax record --spans nvtx,itt -- …`; "
           "see man libstax-target";
}

const char *span_hint(const struct span_view *view, const struct query_span_sources *sources,
                      uint64_t n_rows, bool is_partial)
{
    if (n_rows > 0) {
        return is_partial ? "single spans of this view are gone (--max-memory, --ring); "
                            "whole-run answers of `stax target top` are complete"
                          : NULL;
    }
    if (n_spans_of_run(view->context->snapshot) == 0) {
        return hint_of_none(view, sources);
    }
    if (is_partial) {
        return "the spans of this view are gone (--max-memory, --ring); `stax target top` counts "
               "them";
    }
    if (view->has_patterns) {
        return "no span is like that; `stax target top` without --lane, --name, --focus and "
               "--exclude shows what there is";
    }
    if (view->has_threads) {
        return "none of these threads has queued a span whose origin is known; "
               "`stax target origins` shows which have";
    }
    return view->has_range ? "no span ran in this range; `stax target lanes` says when they did"
                           : "no span of these lanes; `stax target lanes` shows all lanes";
}
