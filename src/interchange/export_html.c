/* SPDX-License-Identifier: MIT */
/*
 * One page that needs nothing else: style, script (page/) and the answers of
 * the queries as JSON in it. Its policy forbids it to load anything.
 */
#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "base/clock.h"
#include "interchange/export_format.h"
#include "interchange/export_page.h" /* made from page/ by tools/embed-text */
#include "interchange/export_strings.h"

#define FLAME_THRESHOLD_PCT 0.02
#define ROWS_MAX 2000u
#define WAIT_ROWS_MAX 500u
#define WAIT_FRAMES_MAX 64u
#define WAIT_FRAMES_SHOWN 6u

/* One flamegraph. Its nodes are written column by column, each in preorder. */
enum node_column {
    NODE_DEPTH,
    NODE_NAME,
    NODE_IMAGE,
    NODE_KIND,
    NODE_NS,
    NODE_SELF,
    NODE_N,
    NODE_COLUMN_N
};

struct page {
    struct export_job *job;
    struct export_sink *sink;
    struct export_strings strings;
    struct flame_result cpu, off;
    struct top_result top;
    struct threads_result threads;
    struct off_cpu_result waits;
    struct target_top_result spans; /* no rows where there are none */
};

/* ---- what is asked ---- */

static int ask(struct page *page)
{
    struct view view = *page->job->context->view;
    struct query_context context = *page->job->context;
    struct error *reterr_error = page->job->reterr_error;
    const struct query_flame_options flame = {.threshold_pct = FLAME_THRESHOLD_PCT};
    const struct query_top_options top = {.sort = TOP_SORT_SELF, .limit = ROWS_MAX};
    const struct query_threads_options threads = {.limit = ROWS_MAX};
    const struct query_off_cpu_options waits = {
        .by = OFF_CPU_BY_STACK,
        .limit = WAIT_ROWS_MAX,
        .max_frames = WAIT_FRAMES_MAX,
    };
    context.view = &view;
    view.mode = VIEW_MODE_ACTIVE;
    int r = query_flame(&context, &flame, &page->cpu, reterr_error);
    r = r ? r : query_top(&context, &top, &page->top, reterr_error);
    r = r ? r : query_threads(&context, &threads, &page->threads, reterr_error);
    if (r == 0 && page->job->spans.n_spans > 0) {
        const struct query_target_top_options spans = {.sort = TARGET_TOP_SORT_TIME,
                                                       .limit = ROWS_MAX};
        r = query_target_top(&context, &spans, &page->spans, reterr_error);
    }
    view.mode = VIEW_MODE_OFF_CPU;
    r = r ? r : query_flame(&context, &flame, &page->off, reterr_error);
    return r ? r : query_off_cpu(&context, &waits, &page->waits, reterr_error);
}

/* ---- flamegraphs ---- */

static uint64_t cell_of(struct page *page, enum node_column column, bool is_off,
                        const struct flame_node *node, uint32_t depth)
{
    switch (column) {
    case NODE_DEPTH:
        return depth;
    case NODE_NAME:
        return export_strings_number(&page->strings, node->name);
    case NODE_IMAGE:
        return export_strings_number(&page->strings, node->image);
    case NODE_KIND:
        return (uint64_t)node->kind | (node->inlined ? 8u : 0u);
    case NODE_NS:
        return is_off ? node->off_cpu_ns : node->active_ns;
    case NODE_SELF:
        return is_off ? node->self_off_cpu_ns : node->self_active_ns;
    case NODE_N:
        return is_off ? 0 : node->samples;
    case NODE_COLUMN_N:
        break;
    }
    return 0;
}

static void put_nodes(struct page *page, enum node_column column, bool is_off,
                      const struct flame_node *node, uint32_t depth)
{
    if (depth > 0) {
        export_sink_char(page->sink, ',');
    }
    export_sink_u64(page->sink, cell_of(page, column, is_off, node, depth));
    for (size_t i = 0; i < node->n_children; i++) {
        put_nodes(page, column, is_off, &node->children[i], depth + 1);
    }
}

static void put_flame(struct page *page, const char *key, bool is_off,
                      const struct flame_node *root)
{
    static const char *const names[NODE_COLUMN_N] = {
        [NODE_DEPTH] = "depth", [NODE_NAME] = "name", [NODE_IMAGE] = "image", [NODE_KIND] = "kind",
        [NODE_NS] = "ns",       [NODE_SELF] = "self", [NODE_N] = "n",
    };
    export_sink_printf(page->sink, "\"%s\":{", key);
    for (size_t i = 0; i < NODE_COLUMN_N; i++) {
        export_sink_printf(page->sink, "%s\"%s\":[", i > 0 ? "," : "", names[i]);
        put_nodes(page, (enum node_column)i, is_off, root, 0);
        export_sink_char(page->sink, ']');
    }
    export_sink_text(page->sink, "},\n");
}

/* ---- tables ---- */

static void put_member(struct export_sink *sink, const char *key, uint64_t number)
{
    export_sink_printf(sink, ",\"%s\":", key);
    export_sink_u64(sink, number);
}

static void put_functions(struct page *page)
{
    struct export_sink *sink = page->sink;
    export_sink_text(sink, "\"functions\":[");
    for (size_t i = 0; i < page->top.n_rows; i++) {
        const struct top_row *row = &page->top.rows[i];
        export_sink_text(sink, i > 0 ? ",\n{\"name\":" : "\n{\"name\":");
        export_sink_json(sink, row->name);
        export_sink_text(sink, ",\"image\":");
        export_sink_json(sink, row->image);
        export_sink_printf(sink, ",\"inlined\":%s", row->inlined ? "true" : "false");
        put_member(sink, "kind", (uint64_t)row->kind);
        put_member(sink, "self", row->self_active_ns);
        put_member(sink, "total", row->total_active_ns);
        put_member(sink, "n", row->self_samples);
        export_sink_char(sink, '}');
    }
    export_sink_text(sink, "],\n");
}

static void put_threads(struct page *page)
{
    struct export_sink *sink = page->sink;
    export_sink_text(sink, "\"threads\":[");
    for (size_t i = 0; i < page->threads.n_rows; i++) {
        const struct thread_row *row = &page->threads.rows[i];
        export_sink_text(sink, i > 0 ? ",\n{\"name\":" : "\n{\"name\":");
        export_sink_json(sink, row->name);
        export_sink_text(sink, ",\"blocked\":");
        export_sink_json(sink, row->blocked ? row->blocked : "");
        put_member(sink, "tid", (uint64_t)row->tid);
        put_member(sink, "cpu", row->cpu_ns);
        put_member(sink, "off", row->off_cpu_ns);
        put_member(sink, "runq", row->runq_ns);
        put_member(sink, "n", row->samples);
        export_sink_char(sink, '}');
    }
    export_sink_text(sink, "],\n");
}

/* "pthread_mutex_lock ← work ← main": of the program's own functions, where there are any. */
static const char *stack_text(struct arena *arena, const struct off_cpu_row *row)
{
    const char *text = "";
    size_t first = 0, n_shown = 0;
    while (first < row->n_stack && row->stack[first].kind == FRAME_KIND_KERNEL) {
        first++;
    }
    for (size_t i = first < row->n_stack ? first : 0;
         i < row->n_stack && n_shown < WAIT_FRAMES_SHOWN && text; i++) {
        text = arena_printf(arena, "%s%s%s", text, n_shown > 0 ? " ← " : "", row->stack[i].name);
        n_shown++;
    }
    return text ? text : "";
}

static void put_waits(struct page *page)
{
    struct export_sink *sink = page->sink;
    export_sink_text(sink, "\"waits\":[");
    for (size_t i = 0; i < page->waits.n_rows; i++) {
        const struct off_cpu_row *row = &page->waits.rows[i];
        export_sink_text(sink, i > 0 ? ",\n{\"reason\":" : "\n{\"reason\":");
        export_sink_json(sink, wait_reason_name(row->reason));
        export_sink_text(sink, ",\"site\":");
        export_sink_json(sink, row->wait_site ? row->wait_site : "");
        export_sink_text(sink, ",\"stack\":");
        export_sink_json(sink, stack_text(page->job->context->arena, row));
        put_member(sink, "ns", row->total_ns);
        put_member(sink, "n", row->count);
        put_member(sink, "max", row->max_ns);
        export_sink_char(sink, '}');
    }
    export_sink_text(sink, "],\n");
}

static void put_data(struct page *page)
{
    struct export_sink *sink = page->sink;
    export_sink_text(sink, "<script type=\"application/json\" id=\"data\">{\n");
    put_flame(page, "cpu", false, &page->cpu.root);
    put_flame(page, "off", true, &page->off.root);
    put_functions(page);
    put_threads(page);
    put_waits(page);
    export_sink_text(sink, "\"totals\":{\"cpu_ns\":");
    /* All that the first flamegraph shows: what the page counts shares of. */
    export_sink_u64(sink, page->top.totals.active_ns);
    put_member(sink, "off_cpu_ns", page->top.totals.off_cpu_ns);
    put_member(sink, "samples", page->top.totals.samples);
    export_sink_text(sink, "},\n\"strings\":[");
    for (uint32_t i = 0; i < page->strings.n_strings; i++) {
        export_sink_text(sink, i > 0 ? ",\n" : "\n");
        export_sink_json(sink, page->strings.strings[i]);
    }
    export_sink_text(sink, "]}\n</script>\n");
}

/* ---- lanes ---- */

/* Down to the microsecond; all of it to who points at it. */
static void put_time_cell(struct export_sink *sink, uint64_t time_ns)
{
    export_sink_text(sink, "<td title=\"");
    export_sink_ms(sink, time_ns);
    export_sink_printf(sink, " ms\">%.3f</td>", (double)time_ns / NS_PER_MS);
}

static void put_span_row(struct export_sink *sink, const struct target_top_row *row)
{
    export_sink_text(sink, "<tr>");
    put_time_cell(sink, row->total_ns);
    export_sink_printf(sink, "<td>%" PRIu64 "</td>", row->spans);
    put_time_cell(sink, row->avg_ns);
    put_time_cell(sink, row->p95_ns);
    put_time_cell(sink, row->p99_ns);
    put_time_cell(sink, row->max_ns);
    export_sink_text(sink, "<td class=\"name\">");
    export_sink_xml(sink, row->lane);
    export_sink_text(sink, "</td><td class=\"name\">");
    for (size_t i = 0; i < row->n_path; i++) {
        export_sink_xml(sink, row->path[i]);
        export_sink_text(sink, " › ");
    }
    export_sink_xml(sink, row->name);
    export_sink_text(sink, "</td></tr>\n");
}

/* What programs have reported themselves: a table that needs no script. */
static void put_spans(struct page *page)
{
    struct export_sink *sink = page->sink;
    if (page->spans.n_rows == 0) {
        return;
    }
    export_sink_text(sink,
                     "<style>\n#spans { max-height: 38vh; overflow: auto; padding: 0 24px 18px; }\n"
                     "#spans h2 { font-size: 14px; margin: 0 0 6px; }\n"
                     "#spans td.name, #spans th.name { width: auto; }\n</style>\n"
                     "<div id=\"spans\"><h2>Target spans, in ms</h2>\n<table><thead><tr>"
                     "<th>total</th><th>spans</th><th>average</th><th>p95</th><th>p99</th>"
                     "<th>longest</th><th class=\"name\">lane</th>"
                     "<th class=\"name\">name</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < page->spans.n_rows; i++) {
        put_span_row(sink, &page->spans.rows[i]);
    }
    export_sink_text(sink, "</tbody></table></div>\n");
}

/* ---- the head ---- */

static void put_fact(struct export_sink *sink, const char *name, double value, int n_digits,
                     const char *unit)
{
    export_sink_printf(sink, "<div><dt>%s</dt><dd>%.*f%s</dd></div>\n", name, n_digits, value,
                       unit);
}

static void put_patterns(struct export_sink *sink, const char *what, size_t n,
                         char *const *patterns)
{
    for (size_t i = 0; i < n; i++) {
        export_sink_printf(sink, ", %s ", what);
        export_sink_xml(sink, patterns[i]);
    }
}

/* Which part of the run it is, and where it comes from. */
static void put_note(struct page *page)
{
    struct export_sink *sink = page->sink;
    const struct run_info *run = page->job->source->run;
    const struct view_echo *view = &page->top.view;
    export_sink_text(sink, "<p class=\"note\">recorded by stax " STAX_VERSION);
    if (run && run->started_at_unix_ns > 0) {
        time_t started_s = (time_t)(run->started_at_unix_ns / 1000000000u);
        struct tm parts;
        char text[64];
        if (gmtime_r(&started_s, &parts) &&
            strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts) > 0) {
            export_sink_printf(sink, " on %s", text);
        }
        export_sink_printf(sink, ", pid %" PRId64 ", %u Hz", run->pid, run->frequency_hz);
    }
    if (view_has_range(page->job->context->view)) {
        export_sink_printf(sink, ", from %.3f s to %.3f s", (double)view->from_ns / 1e9,
                           (double)view->to_ns / 1e9);
    }
    for (size_t i = 0; i < view->n_tids; i++) {
        export_sink_printf(sink, ", thread %" PRId64, view->tids[i]);
    }
    put_patterns(sink, "only stacks with", view->n_focus, view->focus);
    put_patterns(sink, "without stacks with", view->n_exclude, view->exclude);
    export_sink_text(sink, "</p>\n");
}

static void put_head(struct page *page)
{
    struct export_sink *sink = page->sink;
    const struct totals *totals = &page->top.totals;
    const struct run_stamp *stamp = &page->top.run;
    export_sink_text(sink,
                     "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                     "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                     "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n<title>");
    export_sink_xml(sink, page->job->command);
    export_sink_text(sink, " - stax</title>\n<style>\n");
    export_sink_text(sink, page_css);
    export_sink_text(sink, "</style>\n</head>\n<body>\n<header>\n<h1>");
    export_sink_xml(sink, page->job->command);
    export_sink_text(sink, "</h1>\n<dl class=\"facts\">\n");
    put_fact(sink, "recorded", (double)stamp->duration_ns / 1e9, 2, " s");
    put_fact(sink, "on CPUs", (double)totals->cpu_ns / 1e9, 3, " s");
    if (totals->spans > 0) {
        put_fact(sink, "in target spans", (double)totals->target_ns / 1e9, 3, " s");
        put_fact(sink, "spans", (double)totals->spans, 0, "");
    }
    put_fact(sink, "off-CPU", (double)totals->off_cpu_ns / 1e9, 3, " s");
    put_fact(sink, "waiting for a CPU", (double)totals->runq_ns / 1e9, 3, " s");
    put_fact(sink, "samples", (double)totals->samples, 0, "");
    put_fact(sink, "threads", (double)page->threads.threads, 0, "");
    export_sink_text(sink, "</dl>\n");
    put_note(page);
}

int export_html_write(struct export_job *job)
{
    struct page page = {.job = job, .sink = &job->sink};
    int r = ask(&page);
    if (r != 0) {
        return r;
    }
    export_strings_init(&page.strings);
    put_head(&page);
    export_sink_text(page.sink, page_html);
    put_spans(&page);
    put_data(&page);
    export_sink_text(page.sink, "<script>\n");
    export_sink_text(page.sink, page_js);
    export_sink_text(page.sink, "</script>\n</body>\n</html>\n");
    r = page.strings.is_cut ? -ENOMEM : 0;
    export_strings_release(&page.strings);
    return r;
}
