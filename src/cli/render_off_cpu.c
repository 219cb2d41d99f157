/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "base/clock.h"
#include "cli/label.h"
#include "cli/quantity.h"
#include "cli/render.h"
#include "cli/table.h"

#define CELL_MAX_BYTES (64u * 1024)

static const struct table_column columns[] = {
    {"off-CPU ms", TABLE_RIGHT}, {"%", TABLE_RIGHT},       {"waits", TABLE_RIGHT},
    {"median", TABLE_RIGHT},     {"longest", TABLE_RIGHT}, {"reason", TABLE_LEFT},
    {"wait site", TABLE_LEFT},
};

/* By enum off_cpu_by. */
static const char *const things[] = {"stack", "reason", "thread's reason"};
static const char *const plurals[] = {"stacks", "reasons", "threads' reasons"};

/* Of a single wait, from nanoseconds to hours. */
static void add_duration(struct table *table, uint64_t duration_ns)
{
    char duration[QUANTITY_TEXT_BYTES];
    quantity_format_duration(duration_ns, duration);
    table_add(table, "%s", duration);
}

/* "ep_poll, main (4711), 1 lasts, pipe:[123]". */
static void append_site(const struct off_cpu_row *row, enum off_cpu_by by, struct text *text)
{
    label_append(text, row->wait_site ? row->wait_site : "(not known)");
    if (row->tid != 0) {
        text_append(text, ", ");
        label_append(text, row->thread && row->thread[0] ? row->thread : "thread");
        text_printf(text, " (%" PRId64 ")", row->tid);
    }
    if (row->open > 0) {
        text_printf(text, ", %" PRIu64 " last%s", row->open, row->open == 1 ? "s" : "");
    }
    if (row->object) {
        text_append(text, ", ");
        label_append(text, row->object);
    }
    if (by == OFF_CPU_BY_STACK && row->n_stack > 0 && !row->complete) {
        text_append(text, ", cut");
    }
}

static void add_row(struct table *table, const struct off_cpu_row *row, enum off_cpu_by by)
{
    table_add(table, "%.2f", (double)row->total_ns / NS_PER_MS);
    table_add(table, "%.1f", row->share_pct);
    table_add(table, "%" PRIu64, row->count);
    add_duration(table, row->p50_ns);
    add_duration(table, row->max_ns);
    table_add(table, "%s%s", row->approximate ? "~" : "", wait_reason_name(row->reason));
    _cleanup_(text_releasep) struct text site;
    text_init(&site, CELL_MAX_BYTES);
    append_site(row, by, &site);
    table_add(table, "%s", site.data);
}

/* A line below a row. */
static void add_line(struct table *table, const char *line)
{
    for (size_t i = 0; i + 1 < table->n_columns; i++) {
        table_add(table, "%s", "");
    }
    table_add(table, "  %s", line);
}

/* The program's frames; those of the kernel where there are no others, or all are wanted. */
static void add_stack(struct table *table, const struct off_cpu_row *row, size_t max_frames)
{
    size_t first = 0;
    while (max_frames > 0 && first < row->n_stack && row->stack[first].kind == FRAME_KIND_KERNEL) {
        first++;
    }
    if (first == row->n_stack) {
        first = 0;
    }
    size_t n_shown = row->n_stack - first;
    n_shown = max_frames > 0 && n_shown > max_frames ? max_frames : n_shown;
    _cleanup_(text_releasep) struct text line;
    text_init(&line, CELL_MAX_BYTES);
    for (size_t i = first; i < first + n_shown; i++) {
        const struct frame_result *frame = &row->stack[i];
        text_clear(&line);
        render_frame(frame->name, frame->image, frame->inlined, &line);
        add_line(table, line.data);
    }
    uint64_t n_more = row->frames - first - n_shown;
    if (n_more > 0) {
        text_clear(&line);
        text_printf(&line, "…%" PRIu64 " more frame%s", n_more, quantity_plural(n_more));
        add_line(table, line.data);
    }
}

static void append_head(const struct off_cpu_result *result, struct text *text)
{
    char selected[QUANTITY_TEXT_BYTES];
    quantity_format_duration(result->selected_ns, selected);
    render_head(&result->run, &result->view, text);
    text_printf(text, "%s off-CPU", selected);
    if (result->selected_ns != result->totals.off_cpu_ns) {
        char total[QUANTITY_TEXT_BYTES];
        quantity_format_duration(result->totals.off_cpu_ns, total);
        text_printf(text, " of %s", total);
    }
    text_printf(text, " in %" PRIu64 " wait%s", result->waits, quantity_plural(result->waits));
    if (result->open > 0) {
        text_printf(text, " (%" PRIu64 " last%s)", result->open, result->open == 1 ? "s" : "");
    }
    text_printf(text, ", %" PRIu64 " %s", result->all_rows,
                result->all_rows == 1 ? things[result->by] : plurals[result->by]);
    if (result->n_rows < result->all_rows) {
        text_printf(text, " (%zu shown; -n 0: all)", result->n_rows);
    }
    text_append_char(text, '\n');
}

void render_off_cpu(const struct off_cpu_result *result, size_t max_frames,
                    const struct terminal *terminal, struct text *text)
{
    append_head(result, text);
    if (result->n_rows == 0) {
        return;
    }
    _cleanup_(table_releasep) struct table table;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < result->n_rows; i++) {
        add_row(&table, &result->rows[i], result->by);
        if (result->by == OFF_CPU_BY_STACK) {
            add_stack(&table, &result->rows[i], max_frames);
        }
    }
    table_append(&table, terminal, text);
}
