/* SPDX-License-Identifier: MIT */
/*
 * The Firefox Profiler's processed profile, version 57. Samples are in the
 * order of time and weigh ms of CPU time; a wait is a sample in the category
 * Off-CPU that weighs its length, and a marker with its reason. Both sum to
 * the totals of `stax top` and `stax off-cpu`. Lanes are threads, too.
 *
 * Source: its docs-developer/CHANGELOG-formats.md and src/types/profile.ts
 */
#include <errno.h>
#include <stdlib.h>

#include "interchange/export_firefox_lanes.h"
#include "interchange/export_firefox_tables.h"
#include "interchange/export_format.h"
#include "interchange/export_timeline.h"

/* Of more waits than this only those that are long enough to be seen get a marker. */
#define MARKERS_ALL_MAX 50000u
#define MARKER_LONG_NS UINT64_C(1000000)
/* A wait of this length shows in the graph as long as it is: a second sample ends it. */
#define WAIT_DRAWN_NS UINT64_C(1000000)

struct work {
    struct export_job *job;
    struct export_timeline timeline;
    struct firefox_tables tables;
    uint64_t marker_min_ns;
};

/* ---- the profile ---- */

static void put_categories(const struct export_job *job, struct export_sink *sink)
{
    static const char *const colours[EXPORT_KIND_N] = {
        [EXPORT_KIND_USER] = "yellow",  [EXPORT_KIND_KERNEL] = "orange",
        [EXPORT_KIND_JIT] = "green",    [EXPORT_KIND_OFF_CPU] = "blue",
        [EXPORT_KIND_NOWHERE] = "grey", [EXPORT_KIND_TARGET] = "purple",
    };
    for (size_t i = 0; i < EXPORT_KIND_N; i++) {
        if (i == EXPORT_KIND_TARGET && job->spans.tree.n_nodes == 0) {
            continue;
        }
        export_sink_text(sink, i > 0 ? ",{\"name\":" : "{\"name\":");
        export_sink_json(sink, export_kind_name((enum export_kind)i));
        export_sink_printf(sink, ",\"color\":\"%s\",\"subcategories\":[\"Other\"", colours[i]);
        for (size_t j = 0; i == EXPORT_KIND_OFF_CPU && j < WAIT_REASON_N; j++) {
            export_sink_printf(sink, ",\"%s\"", wait_reason_name((enum wait_reason)j));
        }
        export_sink_text(sink, "]}");
    }
}

static void put_meta(struct work *work)
{
    struct export_sink *sink = &work->job->sink;
    const struct run_info *run = work->job->source->run;
    uint32_t frequency_hz = run && run->frequency_hz > 0 ? run->frequency_hz : 1000;
    export_sink_text(sink, "{\"meta\":{\"version\":30,\"preprocessedProfileVersion\":57,"
                           "\"processType\":0,\"stackwalk\":1,\"debug\":false,"
                           "\"symbolicated\":true,\"usesOnlyOneStackType\":true,"
                           "\"sourceCodeIsNotOnSearchfox\":true,\"importedFrom\":\"stax\","
                           "\"platform\":\"X11\",\"oscpu\":\"Linux\",\"product\":");
    export_sink_json(sink, work->job->command);
    export_sink_text(sink, ",\"interval\":");
    export_sink_ms(sink, UINT64_C(1000000000) / frequency_hz);
    export_sink_text(sink, ",\"startTime\":");
    export_sink_ms(sink, run ? run->started_at_unix_ns : 0);
    export_sink_text(sink, ",\"profilingStartTime\":");
    export_sink_ms(sink, export_time_ns(work->job, work->job->shares.attribution.from_ns));
    export_sink_text(sink, ",\"profilingEndTime\":");
    export_sink_ms(sink, export_time_ns(work->job, work->job->shares.attribution.to_ns));
    export_sink_text(sink, ",\"sampleUnits\":{\"time\":\"ms\",\"eventDelay\":\"ms\","
                           "\"threadCPUDelta\":\"ns\"},\"categories\":[");
    put_categories(work->job, sink);
    export_sink_text(
        sink, "],\"markerSchema\":[{\"name\":\"Wait\",\"display\":[\"marker-chart\","
              "\"marker-table\",\"timeline-overview\"],\"chartLabel\":\"{marker.data.reason}\","
              "\"tableLabel\":\"{marker.data.reason} {marker.data.site}\","
              "\"tooltipLabel\":\"waits: {marker.data.reason}\","
              "\"description\":\"The thread was blocked.\",\"fields\":["
              "{\"key\":\"reason\",\"label\":\"Reason\",\"format\":\"string\"},"
              "{\"key\":\"site\",\"label\":\"Function\",\"format\":\"string\"}]}");
    if (work->job->spans.tree.n_nodes > 0) {
        firefox_lanes_put_schema(sink);
    }
    export_sink_text(sink, "]},\n");
}

/* ---- samples of one thread ---- */

/* What one sample of the table says. */
struct cells {
    uint64_t time_ns, weight_ns, cpu_ns;
    uint32_t stack; /* UINT32_MAX: none */
};

enum column { COLUMN_STACK, COLUMN_TIME, COLUMN_WEIGHT, COLUMN_CPU_DELTA };

static void put_cell(struct export_sink *sink, enum column column, const struct cells *cells,
                     bool is_first)
{
    if (!is_first) {
        export_sink_char(sink, ',');
    }
    switch (column) {
    case COLUMN_STACK:
        if (cells->stack == UINT32_MAX) {
            export_sink_text(sink, "null");
        } else {
            export_sink_u64(sink, cells->stack);
        }
        break;
    case COLUMN_TIME:
        export_sink_ms(sink, cells->time_ns);
        break;
    case COLUMN_WEIGHT:
        export_sink_ms(sink, cells->weight_ns);
        break;
    case COLUMN_CPU_DELTA:
        export_sink_u64(sink, cells->cpu_ns);
        break;
    }
}

/* A wait that is drawn has a second sample at its end, or where the next moment is. */
static bool is_drawn(const struct export_row *row, const struct timed_moment *moment)
{
    return row->kind == EXPORT_ROW_WAIT && !moment->is_rest &&
           moment->end_ns - moment->time_ns >= WAIT_DRAWN_NS;
}

/* One column of all samples; how many there are. */
static int put_column(struct work *work, size_t thread, enum column column, size_t *ret_n)
{
    const struct export_timeline *timeline = &work->timeline;
    struct export_sink *sink = &work->job->sink;
    size_t n = 0;
    export_sink_char(sink, '[');
    for (size_t i = timeline->first[thread]; i < timeline->first[thread + 1]; i++) {
        const struct timed_moment *moment = &timeline->moments[i];
        const struct export_row *row = &work->job->shares.rows[moment->row];
        struct cells cells = {
            .time_ns = moment->time_ns,
            .weight_ns = moment->weight_ns,
            .cpu_ns = row->kind == EXPORT_ROW_WAIT ? 0 : moment->weight_ns,
            .stack = UINT32_MAX,
        };
        if (column == COLUMN_STACK) {
            int r = firefox_tables_stack(&work->tables, row, (enum wait_reason)moment->reason,
                                         &cells.stack);
            if (r != 0) {
                return r;
            }
        }
        put_cell(sink, column, &cells, n++ == 0);
        if (is_drawn(row, moment)) {
            bool has_next = i + 1 < timeline->first[thread + 1];
            uint64_t next_ns = has_next ? timeline->moments[i + 1].time_ns : moment->end_ns;
            cells.time_ns = next_ns < moment->end_ns ? next_ns : moment->end_ns;
            cells.weight_ns = 0;
            put_cell(sink, column, &cells, n++ == 0);
        }
    }
    export_sink_char(sink, ']');
    *ret_n = n;
    return 0;
}

static int put_samples(struct work *work, size_t thread)
{
    struct export_sink *sink = &work->job->sink;
    size_t n = 0;
    export_sink_text(sink, ",\n\"samples\":{\"weightType\":\"tracing-ms\",\"stack\":");
    int r = put_column(work, thread, COLUMN_STACK, &n);
    export_sink_text(sink, ",\n\"time\":");
    r = r ? r : put_column(work, thread, COLUMN_TIME, &n);
    export_sink_text(sink, ",\n\"weight\":");
    r = r ? r : put_column(work, thread, COLUMN_WEIGHT, &n);
    export_sink_text(sink, ",\n\"threadCPUDelta\":");
    r = r ? r : put_column(work, thread, COLUMN_CPU_DELTA, &n);
    export_sink_printf(sink, ",\"length\":%zu}", n);
    return r;
}

/* ---- its waits ---- */

/* The next wait of the thread that gets a marker; false: that were all. */
static bool next_wait(const struct work *work, size_t thread, size_t *at,
                      const struct timed_moment **ret_moment)
{
    while (*at < work->timeline.first[thread + 1]) {
        const struct timed_moment *moment = &work->timeline.moments[(*at)++];
        const struct export_row *row = &work->job->shares.rows[moment->row];
        if (row->kind == EXPORT_ROW_WAIT && !moment->is_rest &&
            moment->end_ns - moment->time_ns >= work->marker_min_ns) {
            *ret_moment = moment;
            return true;
        }
    }
    return false;
}

enum marker_column {
    MARKER_DATA,
    MARKER_NAME,
    MARKER_START,
    MARKER_END,
    MARKER_PHASE,
    MARKER_CATEGORY
};

static void put_marker(struct work *work, enum marker_column column,
                       const struct timed_moment *moment)
{
    struct export_sink *sink = &work->job->sink;
    switch (column) {
    case MARKER_DATA:
        export_sink_text(sink, "{\"type\":\"Wait\",\"reason\":");
        export_sink_json(sink, wait_reason_name((enum wait_reason)moment->reason));
        export_sink_text(sink, ",\"site\":");
        export_sink_json(sink, moment->wait_site ? moment->wait_site : "");
        export_sink_char(sink, '}');
        break;
    case MARKER_NAME:
        export_sink_u64(sink, export_strings_number(&work->tables.strings, "Wait"));
        break;
    case MARKER_START:
        export_sink_ms(sink, moment->time_ns);
        break;
    case MARKER_END:
        export_sink_ms(sink, moment->end_ns);
        break;
    case MARKER_PHASE:
        export_sink_char(sink, '1'); /* an interval that is told as a whole */
        break;
    case MARKER_CATEGORY:
        export_sink_u64(sink, EXPORT_KIND_OFF_CPU);
        break;
    }
}

static void put_markers(struct work *work, size_t thread)
{
    static const char *const names[] = {
        [MARKER_DATA] = "\"data\":",       [MARKER_NAME] = "\"name\":",
        [MARKER_START] = "\"startTime\":", [MARKER_END] = "\"endTime\":",
        [MARKER_PHASE] = "\"phase\":",     [MARKER_CATEGORY] = "\"category\":",
    };
    struct export_sink *sink = &work->job->sink;
    size_t n = 0;
    export_sink_text(sink, ",\n\"markers\":{");
    for (size_t column = 0; column < sizeof(names) / sizeof(*names); column++) {
        const struct timed_moment *moment;
        size_t at = work->timeline.first[thread];
        export_sink_text(sink, names[column]);
        export_sink_char(sink, '[');
        for (n = 0; next_wait(work, thread, &at, &moment); n++) {
            export_sink_text(sink, n > 0 ? "," : "");
            put_marker(work, (enum marker_column)column, moment);
        }
        export_sink_text(sink, "],");
    }
    export_sink_printf(sink, "\"length\":%zu}", n);
}

/* ---- threads ---- */

static int put_thread(struct work *work, size_t index)
{
    struct export_job *job = work->job;
    struct export_sink *sink = &job->sink;
    const struct export_thread *thread = &job->shares.threads[index];
    const struct thread_totals *totals = &job->context->snapshot->threads[thread->thread];
    export_sink_text(sink, index > 0 ? ",\n{" : "\n{");
    export_sink_text(sink, "\"processType\":\"default\",\"processName\":");
    export_sink_json(sink, export_process_name(job, thread));
    export_sink_printf(sink, ",\"pid\":\"%lld\",\"tid\":%lld,\"isMainThread\":%s,\"name\":",
                       (long long)thread->pid, (long long)thread->tid,
                       thread->pid == thread->tid ? "true" : "false");
    export_sink_json(sink, thread->name);
    export_sink_text(sink, ",\"processStartupTime\":0,\"processShutdownTime\":null,"
                           "\"showMarkersInTimeline\":true,\"pausedRanges\":[],\"registerTime\":");
    export_sink_ms(sink, export_time_ns(job, totals->start_ns));
    export_sink_text(sink, ",\"unregisterTime\":");
    if (totals->end_ns > 0) {
        export_sink_ms(sink, export_time_ns(job, totals->end_ns));
    } else {
        export_sink_text(sink, "null");
    }
    firefox_tables_begin(&work->tables);
    int r = put_samples(work, index);
    if (r != 0) {
        return r;
    }
    put_markers(work, index);
    r = firefox_tables_write(&work->tables);
    export_sink_char(sink, '}');
    return r;
}

static int write_profile(struct work *work)
{
    struct export_job *job = work->job;
    int r = 0;
    put_meta(work);
    export_sink_text(&job->sink, "\"threads\":[");
    for (size_t i = 0; i < job->shares.n_threads && r == 0; i++) {
        r = put_thread(work, i);
    }
    r = r ? r : firefox_lanes_write(&work->tables, job->shares.n_threads > 0);
    export_sink_text(&job->sink, "],\n");
    firefox_tables_write_shared(&work->tables);
    export_sink_text(&job->sink, "}\n");
    return r;
}

int export_firefox_write(struct export_job *job)
{
    struct work work = {.job = job};
    uint64_t n_waits = 0;
    for (size_t i = 0; i < job->shares.n_threads; i++) {
        n_waits += job->shares.threads[i].n_waits;
    }
    work.marker_min_ns = n_waits > MARKERS_ALL_MAX ? MARKER_LONG_NS : 0;
    int r = export_timeline_build(&job->shares, true, &work.timeline);
    if (r == 0) {
        r = firefox_tables_init(job, &work.tables);
        r = r ? r : write_profile(&work);
        firefox_tables_release(&work.tables);
    }
    export_timeline_release(&work.timeline);
    return r;
}
