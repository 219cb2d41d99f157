/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "base/clock.h"
#include "cli/label.h"
#include "cli/quantity.h"
#include "cli/render.h"
#include "cli/table.h"

#define CELL_MAX_BYTES (64u * 1024)

static const struct table_column columns[] = {
    {"start s", TABLE_RIGHT}, {"length", TABLE_RIGHT},   {"waited", TABLE_RIGHT},
    {"lane", TABLE_LEFT},     {"queued by", TABLE_LEFT}, {"span", TABLE_LEFT},
};

/* A line below a row. */
static void add_line(struct table *table, const struct text *line)
{
    for (size_t i = 0; i + 1 < table->n_columns; i++) {
        table_add(table, "%s", "");
    }
    table_add(table, "  %s", line->data);
}

static void append_duration(uint64_t duration_ns, struct text *text)
{
    char duration[QUANTITY_TEXT_BYTES];
    quantity_format_duration(duration_ns, duration);
    text_append(text, duration);
}

static void add_origin_line(struct table *table, const struct span_origin *origin)
{
    _cleanup_(text_releasep) struct text line;
    text_init(&line, CELL_MAX_BYTES);
    if (origin->n_stack > 0) {
        text_append(&line, "from ");
        render_span_place(origin->stack, origin->n_stack, origin->n_inner, &line);
    } else {
        text_append(&line, "origin: ");
        text_append(&line, origin_state_name(origin->state));
    }
    if (origin->has_distance) {
        text_append(&line, " (");
        append_duration(origin->distance_ns, &line);
        text_append(&line, " off)");
    }
    add_line(table, &line);
}

static void add_id_line(struct table *table, const struct target_span_row *row)
{
    const struct {
        const char *name;
        uint64_t id;
    } ids[] = {{"queue", row->queue_id},
               {"command buffer", row->command_buffer_id},
               {"dispatch", row->dispatch_id}};
    _cleanup_(text_releasep) struct text line;
    text_init(&line, CELL_MAX_BYTES);
    const char *separator = "";
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        if (ids[i].id != 0) {
            text_printf(&line, "%s%s %" PRIu64, separator, ids[i].name, ids[i].id);
            separator = ", ";
        }
    }
    if (separator[0] != '\0') {
        add_line(table, &line);
    }
}

static void add_wait_lines(struct table *table, const struct target_span_row *row)
{
    _cleanup_(text_releasep) struct text line;
    text_init(&line, CELL_MAX_BYTES);
    if (row->has_wait) {
        text_append(&line, "waited for by ");
        render_thread_name(row->wait.name, row->wait.tid, &line);
        text_append(&line, " for ");
        append_duration((uint64_t)row->wait.end_ns - (uint64_t)row->wait.start_ns, &line);
        add_line(table, &line);
    }
    if (row->has_completion) {
        /* Both count from the start of the recording; what is between them does not. */
        int64_t end_ns = (int64_t)((uint64_t)row->start_ns + row->duration_ns);
        int64_t at_ns = row->completion.time_ns;
        uint64_t late_ns = (uint64_t)at_ns - (uint64_t)end_ns;
        text_clear(&line);
        text_append(&line, "its end was noticed by ");
        render_thread_name(row->completion.name, row->completion.tid, &line);
        text_append(&line, at_ns >= end_ns ? " after " : " before it, by ");
        append_duration(at_ns >= end_ns ? late_ns : 0 - late_ns, &line);
        add_line(table, &line);
    }
}

static void add_source_line(struct table *table, const struct span_source *source)
{
    _cleanup_(text_releasep) struct text line;
    text_init(&line, CELL_MAX_BYTES);
    text_append(&line, "runs ");
    if (source->function) {
        label_append(&line, source->function);
        text_append(&line, source->file ? " of " : "");
    }
    if (source->file) {
        label_append(&line, source->file);
    }
    if (source->line != 0) {
        text_printf(&line, ":%" PRIu32, source->line);
    }
    add_line(table, &line);
}

static void add_counter_line(struct table *table, const struct target_span_row *row)
{
    _cleanup_(text_releasep) struct text line;
    text_init(&line, CELL_MAX_BYTES);
    for (size_t i = 0; i < row->n_counters; i++) {
        const struct span_counter *counter = &row->counters[i];
        text_append(&line, i > 0 ? ", " : "");
        label_append(&line, counter->name);
        text_printf(&line, " %.6g", counter->value);
        if (counter->unit) {
            text_append_char(&line, ' ');
            label_append(&line, counter->unit);
        }
    }
    if (row->n_counters > 0) {
        add_line(table, &line);
    }
}

/* "input 1.5 MiB, 4×3×224×224". */
static void add_attachment_line(struct table *table, const struct span_attachment *attachment)
{
    char size[QUANTITY_TEXT_BYTES];
    quantity_format_bytes(attachment->size_bytes, size);
    _cleanup_(text_releasep) struct text line;
    text_init(&line, CELL_MAX_BYTES);
    label_append(&line, attachment->label);
    text_printf(&line, " %s", size);
    for (size_t i = 0; i < attachment->n_dimensions; i++) {
        text_printf(&line, "%s%" PRIu32, i > 0 ? "×" : ", ", attachment->dimensions[i]);
    }
    add_line(table, &line);
}

static void add_row(struct table *table, const struct target_span_row *row)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, CELL_MAX_BYTES);
    table_add(table, "%.6f", (double)row->start_ns / NS_PER_S);
    append_duration(row->duration_ns, &text);
    table_add(table, "%s", text.data);
    text_clear(&text);
    if (row->has_wait) {
        append_duration(row->wait.waited_ns, &text);
    } else {
        text_append_char(&text, '-');
    }
    table_add(table, "%s", text.data);
    table_add_label(table, row->lane);
    text_clear(&text);
    if (row->origin.tid != 0 && row->origin.state != ORIGIN_SYNTHETIC_TID) {
        render_thread_name(row->origin.name, row->origin.tid, &text);
    } else {
        text_append_char(&text, '?');
    }
    table_add(table, "%s", text.data);
    text_clear(&text);
    render_span_path(row->path, row->n_path, row->name, &text);
    table_add(table, "%s", text.data);

    add_origin_line(table, &row->origin);
    add_id_line(table, row);
    add_wait_lines(table, row);
    if (row->has_source) {
        add_source_line(table, &row->source);
    }
    add_counter_line(table, row);
    for (size_t i = 0; i < row->n_attachments; i++) {
        add_attachment_line(table, &row->attachments[i]);
    }
}

void render_target_spans(const struct target_spans_result *result, const struct terminal *terminal,
                         struct text *text)
{
    render_head(&result->run, &result->view, text);
    text_printf(text, "%" PRIu64 " span%s", result->spans, quantity_plural(result->spans));
    if (result->n_rows < result->spans) {
        text_printf(text, " (the %s %zu; -n 0: all)",
                    result->order == TARGET_SPANS_ORDER_LATEST ? "latest" : "longest",
                    result->n_rows);
    }
    text_append_char(text, '\n');
    if (result->n_rows == 0) {
        return;
    }
    _cleanup_(table_releasep) struct table table;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < result->n_rows; i++) {
        add_row(&table, &result->rows[i]);
    }
    table_append(&table, terminal, text);
}
