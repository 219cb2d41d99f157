/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "cli/compare_figures.h"
#include "cli/label.h"
#include "cli/render.h"

#define NAME_MAX_BYTES (64u * 1024)

/* Within <code> all that may be markup is so: each of these stands for itself. */
static void append_entities(const char *label, struct text *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                " ().,;/+-=%?\"'";
    text_append(text, "<code>");
    for (const char *at = label; *at != '\0'; at++) {
        if (strchr(plain, *at) || (unsigned char)*at >= 0x80) {
            text_append_char(text, *at);
        } else {
            text_printf(text, "&#%d;", *at);
        }
    }
    text_append(text, "</code>");
}

/*
 * A foreign text as code: nothing in it is markup. Between backquotes there can be none and, in a
 * table, no end of a cell, whatever stands before it.
 */
static void append_code(const char *foreign, bool is_cell, struct text *text)
{
    _cleanup_(text_releasep) struct text label;
    text_init(&label, NAME_MAX_BYTES);
    label_append(&label, foreign);
    if (strpbrk(label.data, is_cell ? "`|" : "`")) {
        append_entities(label.data, text);
    } else {
        text_printf(text, "`%s`", label.data);
    }
}

static void append_figures(const struct compare_result *result, struct text *text)
{
    text_append(text, "| | base | candidate | difference |\n|---|---:|---:|---:|\n");
    struct compare_figure figure;
    for (size_t i = 0; compare_figures_next(result, &i, &figure);) {
        text_printf(text, "| %s | %s | %s | %s |\n", figure.name, figure.base, figure.candidate,
                    figure.difference);
    }
}

static void append_lanes(const struct compare_result *result, struct text *text)
{
    for (size_t i = 0; i < result->n_lane_rows; i++) {
        const struct compare_lane *lane = &result->lane_rows[i];
        struct compare_figure figure;
        compare_figures_lane(lane, &figure);
        text_append(text, i == 0
                              ? "\n| lane | base | candidate | difference | base spans | spans |\n"
                                "|---|---:|---:|---:|---:|---:|\n"
                              : "");
        text_append(text, "| ");
        append_code(lane->name, true, text);
        compare_figures_append_lane_facts(lane, text);
        text_printf(text, " | %s | %s | %s | %" PRIu64 " | %" PRIu64 " |\n", figure.base,
                    figure.candidate, figure.difference, lane->base_spans, lane->candidate_spans);
    }
    if (result->n_lane_rows < result->lanes) {
        text_printf(text, "\n… and %" PRIu64 " more lanes\n", result->lanes - result->n_lane_rows);
    }
}

static void append_share(const struct compare_share *share, struct text *text)
{
    text_printf(text, " %.2f | %.2f | ", share->base_pct, share->candidate_pct);
    if (share->is_tested) {
        text_printf(text, "%s%+.2f (%+.2f … %+.2f)%s |", share->is_significant ? "**" : "",
                    share->delta_pp, share->low_pp, share->high_pp,
                    share->is_significant ? "**" : "");
    } else {
        text_printf(text, "%+.2f |", share->delta_pp);
    }
}

/* What chance makes is no news in a comment. */
static void append_functions(const struct compare_result *result, struct text *text)
{
    if (result->significant == 0) {
        return;
    }
    text_append(text, "\n| function | self % | now | difference | total % | now | difference |\n"
                      "|---|---:|---:|---:|---:|---:|---:|\n");
    uint64_t n_shown = 0;
    for (size_t i = 0; i < result->n_rows; i++) {
        const struct compare_function *row = &result->rows[i];
        if (!row->self.is_significant && !row->total.is_significant) {
            break;
        }
        text_append(text, "| ");
        append_code(row->name, true, text);
        text_append(text, row->is_new ? " new" : "");
        text_append(text, row->is_gone ? " gone" : "");
        text_append(text, " |");
        append_share(&row->self, text);
        append_share(&row->total, text);
        text_append_char(text, '\n');
        n_shown++;
    }
    if (n_shown < result->significant) {
        text_printf(text, "\n… and %" PRIu64 " more\n", result->significant - n_shown);
    }
    text_append(text, "\nDifferences are percentage points with their 95 % confidence interval; "
                      "significant ones are bold.\n");
}

static void append_failures(const struct compare_result *result, struct text *text)
{
    for (size_t i = 0; i < result->n_threshold_failures; i++) {
        text_append(text, i == 0 ? "\n**Limits that are not kept:**\n\n- " : "- ");
        append_code(result->threshold_failures[i].message, false, text);
        text_append_char(text, '\n');
    }
}

void render_compare_markdown(const struct compare_result *result, struct text *text)
{
    text_append(text, "### Profile: ");
    compare_figures_append_runs(&result->candidate, text);
    text_append(text, " against ");
    compare_figures_append_runs(&result->base, text);
    text_append(text, "\n\n**");
    compare_figures_append_verdict(result, text);
    text_append(text, "**\n\n");
    append_figures(result, text);
    append_lanes(result, text);
    append_functions(result, text);
    append_failures(result, text);
}
