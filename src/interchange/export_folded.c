/* SPDX-License-Identifier: MIT */
/*
 * Folded stacks, as flamegraph.pl and those who came after it read them: a
 * line per thread and stack, frames from the outermost to the innermost with
 * semicolons between them, a space and a number, which is ns here. Frames of
 * the kernel, inlined ones and JIT code end in _[k], _[i] and _[j]. A span is
 * below its lane and the names that it is inside of.
 */
#include "interchange/export_format.h"

static void put_place(struct export_job *job, uint32_t place)
{
    const struct export_function *function = export_frames_function(&job->frames, place);
    struct export_sink *sink = &job->sink;
    export_sink_char(sink, ';');
    export_sink_line(sink, function->name, ";");
    if (function->kind == EXPORT_KIND_KERNEL) {
        export_sink_text(sink, "_[k]");
    } else if (function->is_inlined) {
        export_sink_text(sink, "_[i]");
    } else if (function->kind == EXPORT_KIND_JIT) {
        export_sink_text(sink, "_[j]");
    }
}

static bool is_wanted(const struct export_job *job, const struct export_row *row)
{
    switch (job->context->view->mode) {
    case VIEW_MODE_OFF_CPU:
        return row->kind == EXPORT_ROW_WAIT;
    case VIEW_MODE_WALL:
        return true;
    case VIEW_MODE_TARGET:
        return false;
    case VIEW_MODE_ACTIVE:
    case VIEW_MODE_CPU:
        break;
    }
    return row->kind != EXPORT_ROW_WAIT;
}

static int put_row(struct export_job *job, const struct export_thread *thread,
                   const struct export_row *row)
{
    struct export_sink *sink = &job->sink;
    const uint32_t *path;
    size_t n_path;
    int r = export_frames_path(&job->frames, row->shown_stack, &path, &n_path);
    if (r != 0) {
        return r;
    }
    export_sink_line(sink, thread->name, ";");
    export_sink_char(sink, '-');
    export_sink_u64(sink, (uint64_t)thread->tid);
    uint32_t outer = export_outer_place(job, row);
    uint32_t inner = export_inner_place(job, row, row->reason);
    if (outer != EXPORT_NO_PLACE) {
        put_place(job, outer);
    }
    for (size_t i = 0; i < n_path; i++) {
        put_place(job, path[i]);
    }
    if (inner != EXPORT_NO_PLACE) {
        put_place(job, inner);
    }
    export_sink_char(sink, ' ');
    export_sink_u64(sink, row->time_ns);
    export_sink_char(sink, '\n');
    return 0;
}

static bool has_spans(enum view_mode mode)
{
    return mode == VIEW_MODE_ACTIVE || mode == VIEW_MODE_WALL || mode == VIEW_MODE_TARGET;
}

/* The lane stands where other lines have a thread. */
static void put_span(struct export_job *job, uint32_t node)
{
    const struct export_spans *spans = &job->spans;
    struct export_sink *sink = &job->sink;
    uint32_t lane = spans->tree.nodes[node].lane, path[EXPORT_SPAN_PATH_MAX];
    size_t n_path = export_spans_path(spans, node, path);
    export_sink_line(sink, export_spans_lane_name(spans, lane), ";");
    export_sink_char(sink, '-');
    export_sink_u64(sink, (uint64_t)export_spans_tid(lane));
    for (size_t i = 1; i < n_path; i++) {
        put_place(job, path[i]);
    }
    export_sink_char(sink, ' ');
    export_sink_u64(sink, spans->self_ns[node]);
    export_sink_char(sink, '\n');
}

int export_folded_write(struct export_job *job)
{
    const struct export_shares *shares = &job->shares;
    for (size_t i = 0; i < shares->n_rows; i++) {
        const struct export_row *row = &shares->rows[i];
        int r = is_wanted(job, row) && row->time_ns > 0
                    ? put_row(job, export_shares_thread(shares, row->thread), row)
                    : 0;
        if (r != 0) {
            return r;
        }
    }
    for (uint32_t i = 0; i < job->spans.tree.n_nodes; i++) {
        if (has_spans(job->context->view->mode) && job->spans.self_ns[i] > 0) {
            put_span(job, i);
        }
    }
    return 0;
}
