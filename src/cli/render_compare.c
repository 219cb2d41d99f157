/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>

#include "cli/compare_figures.h"
#include "cli/label.h"
#include "cli/quantity.h"
#include "cli/render.h"
#include "cli/table.h"

#define CELL_MAX_BYTES (64u * 1024)

static const struct table_column figure_columns[] = {{"base", TABLE_RIGHT},
                                                     {"candidate", TABLE_RIGHT},
                                                     {"difference", TABLE_RIGHT},
                                                     {"", TABLE_LEFT}};

static const struct table_column lane_columns[] = {
    {"base", TABLE_RIGHT},       {"candidate", TABLE_RIGHT}, {"difference", TABLE_RIGHT},
    {"base spans", TABLE_RIGHT}, {"spans", TABLE_RIGHT},     {"lane (kind)", TABLE_LEFT},
};

static const struct table_column function_columns[] = {
    {"self %", TABLE_RIGHT},          {"was", TABLE_RIGHT}, {"difference", TABLE_RIGHT},
    {"total %", TABLE_RIGHT},         {"was", TABLE_RIGHT}, {"difference", TABLE_RIGHT},
    {"function (image)", TABLE_LEFT},
};

static void append_side(const char *title, const struct compare_side *side, struct text *text)
{
    char duration[QUANTITY_TEXT_BYTES];
    quantity_format_duration(side->duration_ns, duration);
    text_printf(text, "%-10s ", title);
    compare_figures_append_runs(side, text);
    text_printf(text, " (%s)", duration);
    if (side->command) {
        text_append(text, ": ");
        label_append(text, side->command);
    }
    text_append_char(text, '\n');
}

static void append_figures(const struct compare_result *result, const struct terminal *terminal,
                           struct text *text)
{
    _cleanup_(table_releasep) struct table table;
    table_init(&table, figure_columns, sizeof(figure_columns) / sizeof(figure_columns[0]));
    struct compare_figure figure;
    for (size_t i = 0; compare_figures_next(result, &i, &figure);) {
        table_add(&table, "%s", figure.base);
        table_add(&table, "%s", figure.candidate);
        table_add(&table, "%s", figure.difference);
        table_add(&table, "%s", figure.name);
    }
    table_append(&table, terminal, text);
}

static void append_lanes(const struct compare_result *result, const struct terminal *terminal,
                         struct text *text)
{
    if (result->n_lane_rows == 0) {
        return;
    }
    if (result->n_lane_rows < result->lanes) {
        text_printf(text, "target time of %" PRIu64 " lanes (%zu shown; -n 0: all)\n",
                    result->lanes, result->n_lane_rows);
    }
    _cleanup_(table_releasep) struct table table;
    table_init(&table, lane_columns, sizeof(lane_columns) / sizeof(lane_columns[0]));
    for (size_t i = 0; i < result->n_lane_rows; i++) {
        const struct compare_lane *lane = &result->lane_rows[i];
        struct compare_figure figure;
        _cleanup_(text_releasep) struct text name;
        text_init(&name, CELL_MAX_BYTES);
        compare_figures_lane(lane, &figure);
        label_append(&name, lane->name);
        compare_figures_append_lane_facts(lane, &name);
        table_add(&table, "%s", figure.base);
        table_add(&table, "%s", figure.candidate);
        table_add(&table, "%s", figure.difference);
        table_add(&table, "%" PRIu64, lane->base_spans);
        table_add(&table, "%" PRIu64, lane->candidate_spans);
        table_add(&table, "%s", name.data);
    }
    table_append(&table, terminal, text);
    text_append_char(text, '\n');
}

/* The interval is as wide on both sides. */
static void add_share(struct table *table, const struct compare_share *share)
{
    table_add(table, "%.2f", share->candidate_pct);
    table_add(table, "%.2f", share->base_pct);
    if (share->is_tested) {
        table_add(table, "%+.2f ±%.2f %s", share->delta_pp, share->high_pp - share->delta_pp,
                  share->is_significant ? "*" : " ");
    } else {
        table_add(table, "%+.2f  ", share->delta_pp);
    }
}

static void add_function(struct table *table, const struct compare_function *row)
{
    _cleanup_(text_releasep) struct text name;
    text_init(&name, CELL_MAX_BYTES);
    add_share(table, &row->self);
    add_share(table, &row->total);
    render_frame(row->name, row->image, false, &name);
    text_append(&name, row->is_new ? " new" : "");
    text_append(&name, row->is_gone ? " gone" : "");
    table_add(table, "%s", name.data);
}

static void append_functions(const struct compare_result *result, const struct terminal *terminal,
                             struct text *text)
{
    text_append(text, terminal_bold(terminal));
    compare_figures_append_verdict(result, text);
    text_append(text, terminal_plain(terminal));
    if (result->n_rows < result->functions) {
        text_printf(text, "; %" PRIu64 " functions (%zu shown; -n 0: all)", result->functions,
                    result->n_rows);
    }
    text_append_char(text, '\n');
    if (result->n_rows == 0) {
        return;
    }
    _cleanup_(table_releasep) struct table table;
    table_init(&table, function_columns, sizeof(function_columns) / sizeof(function_columns[0]));
    for (size_t i = 0; i < result->n_rows; i++) {
        add_function(&table, &result->rows[i]);
    }
    table_append(&table, terminal, text);
    text_append(text, "differences are percentage points, ± their 95 % confidence interval; * is "
                      "significant\n");
}

void render_compare(const struct compare_result *result, const struct terminal *terminal,
                    struct text *text)
{
    append_side("base", &result->base, text);
    append_side("candidate", &result->candidate, text);
    text_append_char(text, '\n');
    append_figures(result, terminal, text);
    text_append_char(text, '\n');
    append_lanes(result, terminal, text);
    append_functions(result, terminal, text);
}
