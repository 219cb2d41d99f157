/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "base/clock.h"
#include "cli/quantity.h"
#include "cli/render.h"
#include "cli/table.h"

#define FRAME_MAX_BYTES (64u * 1024)

/* By enum top_group. */
static const char *const things[] = {"function", "image", "line"};
static const char *const titles[] = {"function (image)", "image (path)", "line (image)"};

static void add_frame(struct table *table, const struct top_row *row, enum top_group group)
{
    _cleanup_(text_releasep) struct text frame;
    text_init(&frame, FRAME_MAX_BYTES);
    const char *place = group == TOP_GROUP_IMAGE ? row->file : row->image;
    bool has_place = place && (group != TOP_GROUP_IMAGE || place[0] != '['); /* "[kernel]" */
    render_frame(row->name, has_place ? place : NULL, row->inlined, &frame);
    table_add(table, "%s", frame.data);
}

static void add_row(struct table *table, const struct top_row *row, enum top_sort sort,
                    enum top_group group)
{
    bool is_total = sort == TOP_SORT_TOTAL;
    uint64_t active_ns = is_total ? row->total_active_ns : row->self_active_ns;
    uint64_t samples = is_total ? row->total_samples : row->self_samples;
    table_add(table, "%.2f", (double)active_ns / NS_PER_MS);
    table_add(table, "%.2f", (double)row->target_ns / NS_PER_MS);
    table_add(table, "%" PRIu64, samples);
    table_add(table, "%" PRIu64, row->spans);
    add_frame(table, row, group);
}

static void append_waits(const struct top_result *result, const struct terminal *terminal,
                         struct text *text)
{
    const struct table_column columns[] = {
        {"off-CPU ms", TABLE_RIGHT},
        {"total ms", TABLE_RIGHT},
        {"waits", TABLE_RIGHT},
        {titles[result->group], TABLE_LEFT},
    };
    _cleanup_(table_releasep) struct table table;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < result->n_rows; i++) {
        const struct top_row *row = &result->rows[i];
        table_add(&table, "%.2f", (double)row->self_off_cpu_ns / NS_PER_MS);
        table_add(&table, "%.2f", (double)row->total_off_cpu_ns / NS_PER_MS);
        table_add(&table, "%" PRIu64, row->waits);
        add_frame(&table, row, result->group);
    }
    table_append(&table, terminal, text);
}

static void render_waits(const struct top_result *result, const struct terminal *terminal,
                         struct text *text)
{
    char off_cpu[QUANTITY_TEXT_BYTES];
    quantity_format_duration(result->totals.off_cpu_ns, off_cpu);
    render_head(&result->run, &result->view, text);
    text_printf(text, "%s off-CPU, %" PRIu64 " %s%s by time blocked\n", off_cpu, result->functions,
                things[result->group], quantity_plural(result->functions));
    if (result->n_rows > 0) {
        append_waits(result, terminal, text);
    }
}

/* Rows up to the last one with time of its own; by self time the others only call. */
static size_t count_shown(const struct top_result *result)
{
    size_t n_shown = result->n_rows;
    while (result->sort == TOP_SORT_SELF && n_shown > 0) {
        const struct top_row *row = &result->rows[n_shown - 1];
        if (row->self_active_ns > 0 || row->self_samples > 0 || row->target_ns > 0 ||
            row->spans > 0) {
            break;
        }
        n_shown--;
    }
    return n_shown;
}

/* "1.20 s active, 400 ms of it target, 900 samples, 30 spans, 12 functions and names of spans by
 * self time" */
static void append_head(const struct top_result *result, struct text *text)
{
    char active[QUANTITY_TEXT_BYTES];
    const struct totals *totals = &result->totals;
    quantity_format_duration(totals->active_ns, active);
    render_head(&result->run, &result->view, text);
    text_printf(text, "%s active, ", active);
    if (totals->spans > 0) {
        char target[QUANTITY_TEXT_BYTES];
        quantity_format_duration(totals->target_ns, target);
        text_printf(text, "%s of it target, ", target);
    }
    text_printf(text, "%" PRIu64 " sample%s, ", totals->samples, quantity_plural(totals->samples));
    if (totals->spans > 0) {
        text_printf(text, "%" PRIu64 " span%s, ", totals->spans, quantity_plural(totals->spans));
    }
    text_printf(text, "%" PRIu64 " %s%s", result->functions, things[result->group],
                quantity_plural(result->functions));
    if (totals->spans > 0) {
        text_printf(text, " and %s", result->group == TOP_GROUP_IMAGE ? "lanes" : "names of spans");
    }
    text_printf(text, " by %s time\n", result->sort == TOP_SORT_TOTAL ? "total" : "self");
}

void render_top(const struct top_result *result, const struct terminal *terminal, struct text *text)
{
    if (result->sort == TOP_SORT_OFF_CPU) {
        render_waits(result, terminal, text);
        return;
    }
    append_head(result, text);
    size_t n_shown = count_shown(result);
    if (n_shown == 0) {
        return;
    }
    const struct table_column columns[] = {
        {"active ms", TABLE_RIGHT}, {"target ms", TABLE_RIGHT},          {"samples", TABLE_RIGHT},
        {"spans", TABLE_RIGHT},     {titles[result->group], TABLE_LEFT},
    };
    _cleanup_(table_releasep) struct table table;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < n_shown; i++) {
        add_row(&table, &result->rows[i], result->sort, result->group);
    }
    table_append(&table, terminal, text);
    if (n_shown < result->n_rows) {
        uint64_t n_callers = result->functions - n_shown;
        text_printf(text, "…%" PRIu64 " %s%s without time of %s own (--sort total shows them)\n",
                    n_callers, things[result->group], quantity_plural(n_callers),
                    n_callers == 1 ? "its" : "their");
    }
}
