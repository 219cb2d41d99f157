/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "base/clock.h"
#include "cli/label.h"
#include "cli/quantity.h"
#include "cli/render.h"
#include "cli/table.h"

#define CELL_MAX_BYTES (64u * 1024)

static const char *kind_name(enum why_kind kind)
{
    switch (kind) {
    case WHY_KIND_RUN:
        return "run";
    case WHY_KIND_RUNQ:
        return "runq";
    case WHY_KIND_WAIT:
        return "wait";
    case WHY_KIND_UNKNOWN:
        break;
    }
    return "?";
}

static void add_thread(struct table *table, const char *name, int64_t tid)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, CELL_MAX_BYTES);
    render_thread_name(name, tid, &text);
    table_add(table, "%s", text.data);
}

static void add_duration(struct table *table, uint64_t duration_ns)
{
    char duration[QUANTITY_TEXT_BYTES];
    quantity_format_duration(duration_ns, duration);
    table_add(table, "%s", duration);
}

static void append_what(enum why_kind kind, enum wait_reason reason, struct text *text)
{
    switch (kind) {
    case WHY_KIND_RUNQ:
        text_append(text, "waits for a CPU");
        break;
    case WHY_KIND_WAIT:
        text_printf(text, "%s: ", wait_reason_name(reason));
        break;
    case WHY_KIND_UNKNOWN:
        text_append(text, "not there, or not known");
        break;
    case WHY_KIND_RUN:
        break;
    }
}

/* ---- summary ---- */

static void add_sum(struct table *table, const struct why_sum *sum)
{
    table_add(table, "%.2f", (double)sum->total_ns / NS_PER_MS);
    table_add(table, "%.1f", sum->total_pct);
    table_add(table, "%" PRIu64, sum->count);
    add_thread(table, sum->name, sum->tid);
    table_add(table, "%s", kind_name(sum->kind));
    _cleanup_(text_releasep) struct text what;
    text_init(&what, CELL_MAX_BYTES);
    append_what(sum->kind, sum->reason, &what);
    if (sum->what) {
        render_frame(sum->what, sum->image, false, &what);
    } else if (sum->kind == WHY_KIND_RUN) {
        text_append(&what, "(not sampled)");
    } else if (sum->kind == WHY_KIND_WAIT) {
        text_append(&what, "(not known)");
    }
    table_add(table, "%s", what.data);
}

static void append_summary(const struct why_result *result, const struct terminal *terminal,
                           struct text *text)
{
    const struct table_column columns[] = {
        {"ms", TABLE_RIGHT},    {"%", TABLE_RIGHT}, {"segments", TABLE_RIGHT},
        {"thread", TABLE_LEFT}, {"", TABLE_LEFT},   {"what", TABLE_LEFT},
    };
    _cleanup_(table_releasep) struct table table;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < result->n_summary; i++) {
        add_sum(&table, &result->summary[i]);
    }
    table_append(&table, terminal, text);
}

/* ---- who waited for whom ---- */

static void append_handovers(const struct why_result *result, const struct terminal *terminal,
                             struct text *text)
{
    const struct table_column columns[] = {
        {"times", TABLE_RIGHT},   {"blocked ms", TABLE_RIGHT}, {"thread", TABLE_LEFT},
        {"woken by", TABLE_LEFT}, {"waited for", TABLE_LEFT},
    };
    if (result->n_handovers == 0) {
        return;
    }
    _cleanup_(table_releasep) struct table table;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < result->n_handovers; i++) {
        const struct why_handover *handover = &result->handovers[i];
        table_add(&table, "%" PRIu64, handover->count);
        table_add(&table, "%.2f", (double)handover->waited_ns / NS_PER_MS);
        add_thread(&table, handover->wakee_name, handover->wakee_tid);
        add_thread(&table, handover->waker_name, handover->waker_tid);
        _cleanup_(text_releasep) struct text what;
        text_init(&what, CELL_MAX_BYTES);
        if (handover->is_birth) {
            text_append(&what, "(made by it)");
        } else {
            append_what(WHY_KIND_WAIT, handover->reason, &what);
            label_append(&what, handover->wait_site ? handover->wait_site : "(not known)");
        }
        table_add(&table, "%s", what.data);
    }
    text_append_char(text, '\n');
    table_append(&table, terminal, text);
}

/* ---- segments ---- */

static void add_segment(struct table *table, const struct why_segment *segment)
{
    table_add(table, "%.6f", (double)segment->start_ns / NS_PER_S);
    add_duration(table, segment->duration_ns);
    add_thread(table, segment->name, segment->tid);
    table_add(table, "%s", kind_name(segment->kind));
    if (segment->has_edge) {
        add_thread(table, segment->edge.waker_name, segment->edge.waker_tid);
    } else if (segment->has_waker && segment->kind == WHY_KIND_WAIT) {
        add_thread(table, segment->waker_name, segment->waker_tid);
    } else {
        table_add(table, "%s", "");
    }
    _cleanup_(text_releasep) struct text what;
    text_init(&what, CELL_MAX_BYTES);
    append_what(segment->kind, segment->reason, &what);
    if (segment->kind == WHY_KIND_RUN && segment->n_stack == 0) {
        text_append(&what, "(not sampled)");
    } else if (segment->kind == WHY_KIND_RUN || segment->kind == WHY_KIND_WAIT) {
        render_place(segment->wait_site, segment->stack, segment->n_stack, &what);
    }
    table_add(table, "%s", what.data);
}

static void append_segments(const struct why_result *result, const struct terminal *terminal,
                            struct text *text)
{
    const struct table_column columns[] = {
        {"start s", TABLE_RIGHT}, {"duration", TABLE_RIGHT}, {"thread", TABLE_LEFT},
        {"", TABLE_LEFT},         {"woken by", TABLE_LEFT},  {"what", TABLE_LEFT},
    };
    _cleanup_(table_releasep) struct table table;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < result->n_segments; i++) {
        add_segment(&table, &result->segments[i]);
    }
    if (result->n_segments < result->all_segments) {
        text_printf(text, "\nthe last %zu of %" PRIu64 " segments (-n 0: all):\n",
                    result->n_segments, result->all_segments);
    } else {
        text_printf(text, "\nall %" PRIu64 " segment%s:\n", result->all_segments,
                    quantity_plural(result->all_segments));
    }
    table_append(&table, terminal, text);
}

void render_why(const struct why_result *result, const struct terminal *terminal, struct text *text)
{
    char total[QUANTITY_TEXT_BYTES];
    quantity_format_duration(result->total_ns, total);
    render_head(&result->run, &result->view, text);
    text_printf(text, "the path of %s back from the end of ", total);
    render_thread_name(result->thread.name, result->thread.tid, text);
    if (result->choice) {
        text_append(text, ": ");
        label_append(text, result->choice);
    }
    text_append_char(text, '\n');
    if (result->n_summary == 0) {
        return;
    }
    append_summary(result, terminal, text);
    append_handovers(result, terminal, text);
    append_segments(result, terminal, text);
    if (result->unkept_segments > 0) {
        text_printf(text, "the earliest %" PRIu64 " segments are in the summary only\n",
                    result->unkept_segments);
    }
}
