/* SPDX-License-Identifier: MIT */
/*
 * speedscope's own JSON: shared frames, and per thread one profile of what it
 * ran and one of where it waited, both as stacks with weights in ns. Samples
 * are in the order of time, so that its time view shows how a thread went on;
 * where there are more of them than a browser likes, equal stacks are one. A
 * lane on which programs have reported spans is a profile as well: of begins
 * and ends where its spans follow each other as calls do, else of sums.
 *
 * Frames are functions: a frame per line would tear the sums of its sandwich
 * view apart.
 */
#include <stdlib.h>

#include "interchange/export_format.h"
#include "interchange/export_timeline.h"

#define ORDERED_MAX 200000u

struct work {
    struct export_job *job;
    struct export_timeline timeline;
    bool is_ordered;
    bool has_profiles;
};

static void put_frames(struct export_job *job)
{
    struct export_sink *sink = &job->sink;
    export_sink_text(sink, "\"shared\":{\"frames\":[");
    for (uint32_t i = 0; i < job->frames.n_functions; i++) {
        const struct export_function *function = &job->frames.functions[i];
        export_sink_text(sink, i > 0 ? ",\n{\"name\":" : "\n{\"name\":");
        export_sink_json(sink, function->name);
        if (function->file || function->image[0] != '\0') {
            export_sink_text(sink, ",\"file\":");
            export_sink_json(sink, function->file ? function->file : function->image);
        }
        export_sink_char(sink, '}');
    }
    export_sink_text(sink, "]}");
}

static int put_stack(struct export_job *job, const struct export_row *row, enum wait_reason reason)
{
    struct export_sink *sink = &job->sink;
    const struct export_place *places = job->frames.places;
    const uint32_t *path;
    size_t n_path;
    int r = export_frames_path(&job->frames, row->shown_stack, &path, &n_path);
    if (r != 0) {
        return r;
    }
    uint32_t outer = export_outer_place(job, row), inner = export_inner_place(job, row, reason);
    const char *between = "";
    export_sink_char(sink, '[');
    if (outer != EXPORT_NO_PLACE) {
        export_sink_u64(sink, places[outer].function);
        between = ",";
    }
    for (size_t i = 0; i < n_path; i++) {
        export_sink_text(sink, between);
        export_sink_u64(sink, places[path[i]].function);
        between = ",";
    }
    if (inner != EXPORT_NO_PLACE) {
        export_sink_text(sink, between);
        export_sink_u64(sink, places[inner].function);
    }
    export_sink_char(sink, ']');
    return 0;
}

/* One stack after the other, those that follow each other and are equal as one. */
struct step {
    const struct export_row *row;
    enum wait_reason reason;
    uint64_t weight_ns;
};

/* The next step of the thread from *at on; false: that were all. */
static bool next_step(const struct work *work, const struct export_thread *thread, bool is_wait,
                      size_t *at, struct step *ret_step)
{
    const struct export_shares *shares = &work->job->shares;
    size_t index = (size_t)(thread - shares->threads);
    size_t end =
        work->is_ordered ? work->timeline.first[index + 1] : thread->first_row + thread->n_rows;
    *ret_step = (struct step){0};
    for (; *at < end; (*at)++) {
        const struct timed_moment *moment = work->is_ordered ? &work->timeline.moments[*at] : NULL;
        const struct export_row *row = &shares->rows[moment ? moment->row : *at];
        enum wait_reason reason = moment ? (enum wait_reason)moment->reason : row->reason;
        uint64_t weight_ns = moment ? moment->weight_ns : row->time_ns;
        if ((row->kind == EXPORT_ROW_WAIT) != is_wait || weight_ns == 0) {
            continue;
        }
        if (ret_step->row && (ret_step->row != row || ret_step->reason != reason)) {
            break;
        }
        ret_step->row = row;
        ret_step->reason = reason;
        ret_step->weight_ns += weight_ns;
    }
    return ret_step->row != NULL;
}

static int put_profile(struct work *work, const struct export_thread *thread, bool is_wait)
{
    struct export_sink *sink = &work->job->sink;
    size_t index = (size_t)(thread - work->job->shares.threads);
    size_t first = work->is_ordered ? work->timeline.first[index] : thread->first_row;
    uint64_t total_ns = is_wait ? thread->off_cpu_ns : thread->cpu_ns;
    struct step step;
    if (total_ns == 0) {
        return 0;
    }
    export_sink_text(sink, work->has_profiles ? ",\n{" : "\n{");
    work->has_profiles = true;
    export_sink_text(sink, "\"type\":\"sampled\",\"unit\":\"nanoseconds\",\"name\":");
    const char *name = arena_printf(work->job->context->arena, "%s (%lld)%s", thread->name,
                                    (long long)thread->tid, is_wait ? " off-CPU" : "");
    export_sink_json(sink, name ? name : thread->name);
    export_sink_text(sink, ",\"startValue\":0,\"endValue\":");
    export_sink_u64(sink, total_ns);
    export_sink_text(sink, ",\"samples\":[");
    size_t at = first;
    for (bool is_next = false; next_step(work, thread, is_wait, &at, &step); is_next = true) {
        export_sink_text(sink, is_next ? "," : "");
        int r = put_stack(work->job, step.row, step.reason);
        if (r != 0) {
            return r;
        }
    }
    export_sink_text(sink, "],\"weights\":[");
    at = first;
    for (bool is_next = false; next_step(work, thread, is_wait, &at, &step); is_next = true) {
        export_sink_text(sink, is_next ? "," : "");
        export_sink_u64(sink, step.weight_ns);
    }
    export_sink_text(sink, "]}");
    return 0;
}

/* ---- lanes ---- */

struct lane_events {
    struct work *work;
    bool has_any;
};

static void put_edge(void *userdata, const struct export_span_row *row, bool is_begin)
{
    struct lane_events *events = userdata;
    struct export_job *job = events->work->job;
    struct export_sink *sink = &job->sink;
    const struct stored_span span = snapshot_span(job->context->snapshot, row->index);
    uint32_t node = export_spans_node(&job->spans, span.lane, span.name);
    export_sink_text(sink, events->has_any ? ",\n{\"type\":\"" : "\n{\"type\":\"");
    export_sink_text(sink, is_begin ? "O\",\"frame\":" : "C\",\"frame\":");
    export_sink_u64(sink, job->frames.places[job->spans.places[node]].function);
    export_sink_text(sink, ",\"at\":");
    export_sink_u64(sink, export_time_ns(job, is_begin ? row->start_ns : row->end_ns));
    export_sink_char(sink, '}');
    events->has_any = true;
}

static void put_lane_events(struct work *work, const struct export_span_rows *rows, uint32_t lane)
{
    struct export_job *job = work->job;
    struct export_sink *sink = &job->sink;
    struct lane_events events = {.work = work};
    uint64_t last_ns = job->shares.attribution.to_ns;
    for (size_t i = rows->first[lane]; i < rows->first[lane + 1]; i++) {
        last_ns = rows->spans[i].end_ns > last_ns ? rows->spans[i].end_ns : last_ns;
    }
    export_sink_u64(sink, export_time_ns(job, job->shares.attribution.from_ns));
    export_sink_text(sink, ",\"endValue\":");
    export_sink_u64(sink, export_time_ns(job, last_ns));
    export_sink_text(sink, ",\"events\":[");
    export_span_rows_visit(rows, lane, 0, put_edge, &events);
    export_sink_text(sink, "]}");
}

static void put_lane_sums(struct work *work, uint32_t lane_node)
{
    struct export_job *job = work->job;
    struct export_sink *sink = &job->sink;
    const struct export_spans *spans = &job->spans;
    const struct span_node *lane = &spans->tree.nodes[lane_node];
    uint32_t end = lane_node + lane->subtree_nodes;
    bool is_next = false;
    export_sink_text(sink, "0,\"endValue\":");
    export_sink_u64(sink, lane->weight_ns);
    export_sink_text(sink, ",\"samples\":[");
    for (uint32_t node = lane_node; node < end; node++) {
        uint32_t path[EXPORT_SPAN_PATH_MAX];
        size_t n_path = spans->self_ns[node] > 0 ? export_spans_path(spans, node, path) : 0;
        for (size_t i = n_path > 1; i < n_path; i++) {
            export_sink_text(sink, i > (n_path > 1) ? "," : is_next ? ",[" : "[");
            export_sink_u64(sink, job->frames.places[path[i]].function);
        }
        export_sink_text(sink, n_path > 0 ? "]" : "");
        is_next = is_next || n_path > 0;
    }
    export_sink_text(sink, "],\"weights\":[");
    is_next = false;
    for (uint32_t node = lane_node; node < end; node++) {
        if (spans->self_ns[node] > 0) {
            export_sink_text(sink, is_next ? "," : "");
            export_sink_u64(sink, spans->self_ns[node]);
            is_next = true;
        }
    }
    export_sink_text(sink, "]}");
}

static void put_lane(struct work *work, const struct export_span_rows *rows, uint32_t lane_node)
{
    struct export_sink *sink = &work->job->sink;
    const struct export_spans *spans = &work->job->spans;
    uint32_t lane = spans->tree.nodes[lane_node].lane;
    bool has_events = rows->n_spans <= ORDERED_MAX && export_span_rows_are_calls(spans, rows, lane);
    const char *name = export_spans_lane_name(spans, lane);
    const char *title = arena_printf(work->job->context->arena, "%s (%lld) target", name,
                                     (long long)export_spans_tid(lane));
    export_sink_text(sink, work->has_profiles ? ",\n{\"type\":\"" : "\n{\"type\":\"");
    work->has_profiles = true;
    export_sink_text(sink, has_events ? "evented" : "sampled");
    export_sink_text(sink, "\",\"unit\":\"nanoseconds\",\"name\":");
    export_sink_json(sink, title ? title : name);
    export_sink_text(sink, ",\"startValue\":");
    if (has_events) {
        put_lane_events(work, rows, lane);
    } else {
        put_lane_sums(work, lane_node);
    }
}

static int put_lanes(struct work *work)
{
    const struct span_tree *tree = &work->job->spans.tree;
    struct export_span_rows rows;
    if (tree->n_nodes == 0) {
        return 0;
    }
    int r = export_span_rows_build(&work->job->spans, &rows);
    for (uint32_t i = 0; r == 0 && i < tree->n_nodes; i += tree->nodes[i].subtree_nodes) {
        if (tree->nodes[i].weight_ns > 0) {
            put_lane(work, &rows, i);
        }
    }
    if (r == 0) {
        export_span_rows_release(&rows);
    }
    return r;
}

/* A thread without time has no profile, and a reader wants at least one. */
static void put_none(struct export_sink *sink)
{
    export_sink_text(sink, "{\"type\":\"sampled\",\"unit\":\"nanoseconds\",\"name\":\"(nothing)\","
                           "\"startValue\":0,\"endValue\":0,\"samples\":[],\"weights\":[]}");
}

static int write_profiles(struct work *work)
{
    struct export_job *job = work->job;
    struct export_sink *sink = &job->sink;
    export_sink_text(sink, "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\","
                           "\"exporter\":\"stax " STAX_VERSION "\",\"name\":");
    export_sink_json(sink, job->command);
    export_sink_text(sink, ",\"activeProfileIndex\":0,\"profiles\":[");
    int r = 0;
    for (size_t i = 0; i < job->shares.n_threads && r == 0; i++) {
        r = put_profile(work, &job->shares.threads[i], false);
    }
    for (size_t i = 0; i < job->shares.n_threads && r == 0; i++) {
        r = put_profile(work, &job->shares.threads[i], true);
    }
    r = r ? r : put_lanes(work);
    if (!work->has_profiles) {
        put_none(sink);
    }
    export_sink_text(sink, "],\n");
    put_frames(job);
    export_sink_text(sink, "}\n");
    return r;
}

int export_speedscope_write(struct export_job *job)
{
    struct work work = {.job = job};
    uint64_t n_moments = 0;
    for (size_t i = 0; i < job->shares.n_threads; i++) {
        n_moments += job->shares.threads[i].n_samples + job->shares.threads[i].n_waits;
    }
    work.is_ordered = n_moments <= ORDERED_MAX;
    int r = work.is_ordered ? export_timeline_build(&job->shares, true, &work.timeline) : 0;
    r = r ? r : write_profiles(&work);
    export_timeline_release(&work.timeline);
    return r;
}
