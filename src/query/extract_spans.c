/* SPDX-License-Identifier: MIT */
#include "query/extract_spans.h"

#include <errno.h>

static thread_id own_thread(const struct extract_spans *extract, thread_id thread)
{
    return thread < extract->snapshot->n_threads ? extract->own_ids[thread] : THREAD_ID_NONE;
}

static int copy_tables(const struct extract_spans *extract)
{
    const struct snapshot *snapshot = extract->snapshot;
    int r = 0;
    for (uint32_t i = 1; i <= snapshot->n_span_names && r == 0; i++) {
        const struct span_name name = snapshot_span_name(snapshot, i);
        r = restore_add_span_name(extract->restore, &name);
    }
    for (uint32_t i = 0; i < snapshot->n_lanes && r == 0; i++) {
        const struct lane_totals *lane = &snapshot->lanes[i];
        const struct lane_totals own = {.pid = lane->pid, .name = lane->name, .kind = lane->kind};
        r = restore_add_lane(extract->restore, &own);
    }
    return r;
}

static int copy_span(const struct extract_spans *extract, const struct stored_span *span,
                     uint32_t *n_details)
{
    struct stored_span own = *span;
    int r = 0;
    own.start_ns = span->start_ns > extract->from_ns ? span->start_ns : extract->from_ns;
    own.end_ns = span->end_ns < extract->to_ns ? span->end_ns : extract->to_ns;
    own.origin_thread = own_thread(extract, span->origin_thread);
    if (span->details != STORED_SPAN_NO_DETAILS) {
        r = restore_add_span_details(extract->restore,
                                     snapshot_span_details(extract->snapshot, span->details));
        own.details = r == 0 ? (*n_details)++ : STORED_SPAN_NO_DETAILS;
        r = r == -ENOSPC ? 0 : r;
    }
    r = r ? r : restore_count_span(extract->restore, &own);
    return r ? r : restore_add_span(extract->restore, &own);
}

/* As every view of the range has them: a span does not know in which stack its wait began. */
static int copy_wait_sums(const struct extract_spans *extract)
{
    struct span_origins origins;
    int r = extract->view ? span_origins_compute(extract->view, &origins) : 0;
    for (size_t i = 0; extract->view && i < origins.n_waits && r == 0; i++) {
        struct span_wait_sums own = origins.waits[i];
        own.thread = own_thread(extract, own.thread);
        r = restore_count_span_wait(extract->restore, &own);
    }
    return r;
}

int extract_spans_copy(const struct extract_spans *extract)
{
    const struct snapshot *snapshot = extract->snapshot;
    uint32_t n_details = 0;
    int r = copy_tables(extract);
    for (uint64_t i = snapshot->first_span; i < snapshot->n_spans && r == 0; i++) {
        const struct stored_span span = snapshot_span(snapshot, i);
        /* As of a range: one of no length has to begin in it. */
        bool is_in = span.start_ns < extract->to_ns &&
                     (span.end_ns > extract->from_ns || span.start_ns >= extract->from_ns);
        r = is_in ? copy_span(extract, &span, &n_details) : 0;
    }
    return r ? r : copy_wait_sums(extract);
}
