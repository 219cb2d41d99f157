/* SPDX-License-Identifier: MIT */
#include "interchange/export_firefox_lanes.h"

#include <errno.h>
#include <stdlib.h>

struct lanes {
    struct firefox_tables *tables;
    struct export_job *job;
    struct export_span_rows rows;
    uint64_t marker_min_ns;
};

void firefox_lanes_put_schema(struct export_sink *sink)
{
    export_sink_text(sink, ",{\"name\":\"Span\",\"display\":[\"marker-chart\",\"marker-table\","
                           "\"timeline-overview\"],\"chartLabel\":\"{marker.name}\","
                           "\"tableLabel\":\"{marker.name} {marker.data.thread}\","
                           "\"tooltipLabel\":\"{marker.name}\","
                           "\"description\":\"Work that the program reported.\",\"fields\":["
                           "{\"key\":\"thread\",\"label\":\"Queued by\",\"format\":\"string\"},"
                           "{\"key\":\"origin\",\"label\":\"Origin\",\"format\":\"string\"}]}");
}

/* ---- what the names sum to ---- */

enum sample_column { SAMPLE_STACK, SAMPLE_TIME, SAMPLE_WEIGHT, SAMPLE_CPU_DELTA };

static int put_sample_cell(struct lanes *lanes, enum sample_column column, uint32_t node)
{
    struct export_job *job = lanes->job;
    uint32_t path[EXPORT_SPAN_PATH_MAX], stack = 0;
    int r = 0;
    switch (column) {
    case SAMPLE_STACK:
        r = firefox_tables_path(lanes->tables, path, export_spans_path(&job->spans, node, path),
                                &stack);
        export_sink_u64(&job->sink, stack);
        break;
    case SAMPLE_TIME:
        export_sink_ms(&job->sink, export_time_ns(job, job->shares.attribution.from_ns));
        break;
    case SAMPLE_WEIGHT:
        export_sink_ms(&job->sink, job->spans.self_ns[node]);
        break;
    case SAMPLE_CPU_DELTA:
        export_sink_char(&job->sink, '0');
        break;
    }
    return r;
}

static int put_samples(struct lanes *lanes, uint32_t lane_node)
{
    static const char *const names[] = {
        [SAMPLE_STACK] = "\"stack\":[",
        [SAMPLE_TIME] = "],\n\"time\":[",
        [SAMPLE_WEIGHT] = "],\n\"weight\":[",
        [SAMPLE_CPU_DELTA] = "],\n\"threadCPUDelta\":[",
    };
    const struct export_spans *spans = &lanes->job->spans;
    struct export_sink *sink = &lanes->job->sink;
    uint32_t end = lane_node + spans->tree.nodes[lane_node].subtree_nodes;
    size_t n = 0;
    int r = 0;
    export_sink_text(sink, ",\n\"samples\":{\"weightType\":\"tracing-ms\",");
    for (size_t column = 0; column < sizeof(names) / sizeof(*names) && r == 0; column++) {
        export_sink_text(sink, names[column]);
        n = 0;
        for (uint32_t node = lane_node; node < end && r == 0; node++) {
            if (spans->self_ns[node] > 0) {
                export_sink_text(sink, n++ > 0 ? "," : "");
                r = put_sample_cell(lanes, (enum sample_column)column, node);
            }
        }
    }
    export_sink_printf(sink, "],\"length\":%zu}", n);
    return r;
}

/* ---- single spans ---- */

enum marker_column {
    MARKER_DATA,
    MARKER_NAME,
    MARKER_START,
    MARKER_END,
    MARKER_PHASE,
    MARKER_CATEGORY
};

static void put_origin(struct lanes *lanes, const struct stored_span *span)
{
    struct export_job *job = lanes->job;
    struct export_sink *sink = &job->sink;
    const char *name = export_spans_origin_name(&job->spans, span);
    const char *thread =
        span->origin_tid == 0
            ? ""
            : arena_printf(job->context->arena, "%s%s%lld%s", name, name[0] != '\0' ? " (" : "",
                           (long long)span->origin_tid, name[0] != '\0' ? ")" : "");
    export_sink_text(sink, "{\"type\":\"Span\",\"thread\":");
    export_sink_json(sink, thread ? thread : name);
    export_sink_text(sink, ",\"origin\":");
    export_sink_json(sink, origin_state_name((enum origin_state)span->state));
    export_sink_char(sink, '}');
}

static void put_marker(struct lanes *lanes, enum marker_column column,
                       const struct export_span_row *row)
{
    struct export_job *job = lanes->job;
    struct export_sink *sink = &job->sink;
    const struct stored_span span = snapshot_span(job->context->snapshot, row->index);
    switch (column) {
    case MARKER_DATA:
        put_origin(lanes, &span);
        break;
    case MARKER_NAME:
        export_sink_u64(sink, export_strings_number(&lanes->tables->strings,
                                                    export_spans_name(&job->spans, span.name)));
        break;
    case MARKER_START:
        export_sink_ms(sink, export_time_ns(job, row->start_ns));
        break;
    case MARKER_END:
        export_sink_ms(sink, export_time_ns(job, row->end_ns));
        break;
    case MARKER_PHASE:
        export_sink_char(sink, '1'); /* an interval that is told as a whole */
        break;
    case MARKER_CATEGORY:
        export_sink_u64(sink, EXPORT_KIND_TARGET);
        break;
    }
}

static void put_markers(struct lanes *lanes, uint32_t lane)
{
    static const char *const names[] = {
        [MARKER_DATA] = "\"data\":[",         [MARKER_NAME] = "],\"name\":[",
        [MARKER_START] = "],\"startTime\":[", [MARKER_END] = "],\"endTime\":[",
        [MARKER_PHASE] = "],\"phase\":[",     [MARKER_CATEGORY] = "],\"category\":[",
    };
    const struct export_span_rows *rows = &lanes->rows;
    struct export_sink *sink = &lanes->job->sink;
    size_t n = 0;
    export_sink_text(sink, ",\n\"markers\":{");
    for (size_t column = 0; column < sizeof(names) / sizeof(*names); column++) {
        export_sink_text(sink, names[column]);
        n = 0;
        for (size_t i = rows->first[lane]; i < rows->first[lane + 1]; i++) {
            const struct export_span_row *row = &rows->spans[i];
            if (row->end_ns - row->start_ns >= lanes->marker_min_ns) {
                export_sink_text(sink, n++ > 0 ? "," : "");
                put_marker(lanes, (enum marker_column)column, row);
            }
        }
    }
    export_sink_printf(sink, "],\"length\":%zu}", n);
}

static int longest_first(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a > b ? -1 : a < b;
}

/* So long are those that get a marker. */
static int choose_markers(struct lanes *lanes)
{
    const struct export_span_rows *rows = &lanes->rows;
    if (rows->n_spans <= FIREFOX_SPAN_MARKERS_MAX) {
        return 0;
    }
    uint64_t *lengths_ns = reallocarray(NULL, rows->n_spans, sizeof(*lengths_ns));
    if (!lengths_ns) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < rows->n_spans; i++) {
        lengths_ns[i] = rows->spans[i].end_ns - rows->spans[i].start_ns;
    }
    qsort(lengths_ns, rows->n_spans, sizeof(*lengths_ns), longest_first);
    /* Of those that are as long as the first one without all are without. */
    lanes->marker_min_ns = lengths_ns[FIREFOX_SPAN_MARKERS_MAX] + 1;
    free(lengths_ns);
    return 0;
}

/* ---- threads ---- */

static const char *process_name(const struct export_job *job, int64_t pid)
{
    const struct export_shares *shares = &job->shares;
    struct export_thread own = {.pid = pid};
    for (size_t i = 0; i < shares->n_threads; i++) {
        own.process = shares->threads[i].pid == pid ? shares->threads[i].process : own.process;
    }
    return export_process_name(job, &own);
}

static int put_lane(struct lanes *lanes, uint32_t lane_node, bool is_first)
{
    struct export_job *job = lanes->job;
    struct export_sink *sink = &job->sink;
    uint32_t number = job->spans.tree.nodes[lane_node].lane;
    const struct lane_totals *lane = export_spans_lane(&job->spans, number);
    export_sink_text(sink, is_first ? "\n{" : ",\n{");
    export_sink_text(sink, "\"processType\":\"default\",\"processName\":");
    export_sink_json(sink, process_name(job, lane->pid));
    export_sink_printf(sink, ",\"pid\":\"%lld\",\"tid\":%lld,\"isMainThread\":false,\"name\":",
                       (long long)lane->pid, (long long)export_spans_tid(number));
    export_sink_json(sink, export_spans_lane_name(&job->spans, number));
    export_sink_text(sink, ",\"processStartupTime\":0,\"processShutdownTime\":null,"
                           "\"showMarkersInTimeline\":true,\"pausedRanges\":[],\"registerTime\":");
    export_sink_ms(sink, export_time_ns(job, lane->first_ns));
    export_sink_text(sink, ",\"unregisterTime\":null");
    firefox_tables_begin(lanes->tables);
    int r = put_samples(lanes, lane_node);
    if (r != 0) {
        return r;
    }
    put_markers(lanes, number);
    r = firefox_tables_write(lanes->tables);
    export_sink_char(sink, '}');
    return r;
}

int firefox_lanes_write(struct firefox_tables *tables, bool has_threads)
{
    struct lanes lanes = {.tables = tables, .job = tables->job};
    const struct span_tree *tree = &lanes.job->spans.tree;
    if (tree->n_nodes == 0) {
        return 0;
    }
    int r = export_span_rows_build(&lanes.job->spans, &lanes.rows);
    if (r != 0) {
        return r;
    }
    r = choose_markers(&lanes);
    for (uint32_t i = 0; i < tree->n_nodes && r == 0; i += tree->nodes[i].subtree_nodes) {
        r = put_lane(&lanes, i, i == 0 && !has_threads);
    }
    export_span_rows_release(&lanes.rows);
    return r;
}
