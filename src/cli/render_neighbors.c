/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "base/clock.h"
#include "cli/quantity.h"
#include "cli/render.h"
#include "cli/table.h"

#define FRAME_MAX_BYTES (64u * 1024)

static void add_row(struct table *table, const struct neighbor_row *row)
{
    table_add(table, "%.2f", (double)row->active_ns / NS_PER_MS);
    table_add(table, "%" PRIu64, row->samples);
    table_add(table, "%.1f", row->share_pct);
    _cleanup_(text_releasep) struct text frame;
    text_init(&frame, FRAME_MAX_BYTES);
    render_frame(row->name, row->image, row->inlined, &frame);
    table_add(table, "%s", frame.data);
}

static void append_rows(const char *title, const struct neighbor_row *rows, size_t n_rows,
                        uint64_t n_all, const struct terminal *terminal, struct text *text)
{
    const struct table_column columns[] = {
        {"active ms", TABLE_RIGHT},
        {"samples", TABLE_RIGHT},
        {"%", TABLE_RIGHT},
        {title, TABLE_LEFT},
    };
    _cleanup_(table_releasep) struct table table;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < n_rows; i++) {
        add_row(&table, &rows[i]);
    }
    text_append_char(text, '\n');
    table_append(&table, terminal, text);
    if (n_all > n_rows) {
        text_printf(text, "…%" PRIu64 " more\n", n_all - n_rows);
    }
}

void render_neighbors(const struct neighbors_result *result, const struct terminal *terminal,
                      struct text *text)
{
    const struct top_row *function = &result->function;
    char total[QUANTITY_TEXT_BYTES];
    char self[QUANTITY_TEXT_BYTES];
    quantity_format_duration(function->total_active_ns, total);
    quantity_format_duration(function->self_active_ns, self);
    render_head(&result->run, &result->view, text);
    render_frame(function->name, function->image, function->inlined, text);
    text_printf(text,
                "\ntotal %s (%.1f %%, %" PRIu64 " sample%s), self %s (%.1f %%, %" PRIu64
                " sample%s)\n",
                total, function->total_pct, function->total_samples,
                quantity_plural(function->total_samples), self, function->self_pct,
                function->self_samples, quantity_plural(function->self_samples));
    append_rows("called by", result->callers, result->n_callers, result->all_callers, terminal,
                text);
    if (result->n_callees == 0) {
        text_append(text, "\ncalls nothing that was sampled\n");
        return;
    }
    append_rows("calls", result->callees, result->n_callees, result->all_callees, terminal, text);
}
