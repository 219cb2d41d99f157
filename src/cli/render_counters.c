/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "cli/label.h"
#include "cli/quantity.h"
#include "cli/render.h"
#include "cli/table.h"
#include "model/limits.h"

/* The values of a row in the order of its counters. */
struct cells {
    bool has[LIMIT_COUNTERS];
    uint64_t values[LIMIT_COUNTERS];
};

static struct cells cells_of(const struct counters_row *row)
{
    return (struct cells){
        .has = {row->has_cycles, row->has_instructions, row->has_l1d_misses,
                row->has_branch_misses},
        .values = {row->cycles, row->instructions, row->l1d_misses, row->branch_misses},
    };
}

static void add_values(struct table *table, const struct counters_row *row)
{
    const struct cells cells = cells_of(row);
    for (size_t i = 0; i < LIMIT_COUNTERS; i++) {
        if (cells.has[i]) {
            table_add(table, "%s%" PRIu64, row->scaled ? "~" : "", cells.values[i]);
        } else {
            table_add(table, "-");
        }
        if (i == 1) {
            if (row->has_ipc) {
                table_add(table, "%.2f", row->ipc);
            } else {
                table_add(table, "-");
            }
        }
    }
    table_add(table, "%" PRIu64, row->samples);
}

static void add_row(struct table *table, enum counters_by by, const struct counters_row *row)
{
    _cleanup_(text_releasep) struct text name;
    text_init(&name, RENDER_MAX_BYTES);
    add_values(table, row);
    if (by == COUNTERS_BY_THREAD) {
        table_add(table, "%" PRId64, row->tid);
        table_add_label(table, row->name);
        return;
    }
    render_frame(row->name, row->image, row->inlined, &name);
    table_add(table, "%s", name.data);
}

static const char *name_of(const struct counters_result *result, size_t slot)
{
    return slot < result->n_counters ? result->counters[slot].name : "-";
}

static void append_absent(const struct counters_result *result, struct text *text)
{
    text_append(text, result->host_has ? "counters: " : "counters: not available on this host (");
    label_append(text, result->reason ? result->reason : "no reason was told");
    text_append(text, result->host_has ? "\n" : ")\n");
    if (result->fix) {
        text_append(text, "  fix: ");
        label_append(text, result->fix);
        text_append_char(text, '\n');
    }
}

/* Which single ones are missing. */
static void append_gaps(const struct counters_result *result, struct text *text)
{
    for (size_t i = 0; i < result->n_counters; i++) {
        const struct counter_state *counter = &result->counters[i];
        if (!counter->available && counter->reason) {
            label_append(text, counter->name);
            text_append(text, ": not available on this host (");
            label_append(text, counter->reason);
            text_append(text, ")\n");
        }
    }
    if (result->user_only) {
        text_append(text, "kernel mode is not counted (perf_event_paranoid)\n");
    }
    if (result->dropped > 0) {
        text_printf(text, "%" PRIu64 " reading%s dropped\n", result->dropped,
                    quantity_plural(result->dropped));
    }
    if (result->total.scaled) {
        text_printf(text,
                    "~ the counters were there for %.1f %% of the time, the rest is "
                    "estimated\n",
                    result->total.counted_pct);
    }
}

void render_counters(const struct counters_result *result, const struct terminal *terminal,
                     struct text *text)
{
    render_head(&result->run, &result->view, text);
    if (!result->available) {
        append_absent(result, text);
        return;
    }
    const char *thing = result->by == COUNTERS_BY_THREAD ? "thread" : "function";
    text_printf(text, "%" PRIu64 " reading%s, %" PRIu64 " %s%s", result->total.samples,
                quantity_plural(result->total.samples), result->all_rows, thing,
                quantity_plural(result->all_rows));
    if (result->n_rows < result->all_rows) {
        text_printf(text, " (%zu shown; -n 0: all)", result->n_rows);
    }
    text_append_char(text, '\n');
    append_gaps(result, text);
    if (result->n_rows == 0) {
        return;
    }
    const struct table_column columns[] = {
        {name_of(result, 0), TABLE_RIGHT},
        {name_of(result, 1), TABLE_RIGHT},
        {"IPC", TABLE_RIGHT},
        {name_of(result, 2), TABLE_RIGHT},
        {name_of(result, 3), TABLE_RIGHT},
        {"samples", TABLE_RIGHT},
        {"tid", TABLE_RIGHT},
        {"name", TABLE_LEFT},
    };
    const struct table_column function_columns[] = {
        columns[0],
        columns[1],
        columns[2],
        columns[3],
        columns[4],
        columns[5],
        {"function (image)", TABLE_LEFT},
    };
    bool is_by_thread = result->by == COUNTERS_BY_THREAD;
    _cleanup_(table_releasep) struct table table;
    table_init(&table, is_by_thread ? columns : function_columns,
               is_by_thread ? sizeof(columns) / sizeof(columns[0])
                            : sizeof(function_columns) / sizeof(function_columns[0]));
    for (size_t i = 0; i < result->n_rows; i++) {
        add_row(&table, result->by, &result->rows[i]);
    }
    table_append(&table, terminal, text);
}
