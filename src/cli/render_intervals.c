/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "base/clock.h"
#include "cli/label.h"
#include "cli/quantity.h"
#include "cli/render.h"
#include "cli/table.h"

#define PLACE_MAX_BYTES (64u * 1024)

static const struct table_column columns[] = {
    {"start s", TABLE_RIGHT}, {"blocked", TABLE_RIGHT}, {"runq", TABLE_RIGHT},
    {"reason", TABLE_LEFT},   {"thread", TABLE_LEFT},   {"woken by", TABLE_LEFT},
    {"where", TABLE_LEFT},
};

static void add_duration(struct table *table, uint64_t duration_ns, const char *mark)
{
    char duration[QUANTITY_TEXT_BYTES];
    quantity_format_duration(duration_ns, duration);
    table_add(table, "%s%s", duration, mark);
}

static void add_thread(struct table *table, const char *name, int64_t tid)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, PLACE_MAX_BYTES);
    render_thread_name(name, tid, &text);
    table_add(table, "%s", text.data);
}

static void add_waker(struct table *table, const struct interval_row *row)
{
    if (row->has_waker) {
        add_thread(table, row->waker.name, row->waker.tid);
    } else {
        table_add(table, "%s", row->open ? "(lasts)" : "?");
    }
}

static void add_row(struct table *table, const struct interval_row *row)
{
    table_add(table, "%.6f", (double)row->start_ns / NS_PER_S);
    add_duration(table, row->duration_ns, row->open ? "+" : "");
    if (row->has_waker || row->runq_ns > 0) {
        add_duration(table, row->runq_ns, "");
    } else {
        table_add(table, "-"); /* nobody told when it was woken */
    }
    table_add(table, "%s", wait_reason_name(row->reason));
    add_thread(table, row->name, row->tid);
    add_waker(table, row);
    _cleanup_(text_releasep) struct text place;
    text_init(&place, PLACE_MAX_BYTES);
    text_append(&place, row->approximate ? "~" : "");
    render_place(row->wait_site, row->stack, row->n_stack, &place);
    if (row->object) {
        text_append(&place, " [");
        label_append(&place, row->object);
        text_append_char(&place, ']');
    }
    table_add(table, "%s", place.data);
}

void render_intervals(const struct intervals_result *result, const struct terminal *terminal,
                      struct text *text)
{
    char blocked[QUANTITY_TEXT_BYTES];
    char runq[QUANTITY_TEXT_BYTES];
    quantity_format_duration(result->blocked_ns, blocked);
    quantity_format_duration(result->runq_ns, runq);
    render_head(&result->run, &result->view, text);
    text_printf(text, "%" PRIu64 " wait%s", result->intervals, quantity_plural(result->intervals));
    if (result->n_rows < result->intervals) {
        text_printf(text, " (the %s %zu; -n 0: all)",
                    result->order == INTERVALS_ORDER_LATEST ? "latest" : "longest", result->n_rows);
    }
    text_printf(text, ", %s blocked and %s from wakeup to CPU\n", blocked, runq);
    if (result->n_rows == 0) {
        return;
    }
    bool is_approximate = false;
    _cleanup_(table_releasep) struct table table;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < result->n_rows; i++) {
        add_row(&table, &result->rows[i]);
        is_approximate = is_approximate || result->rows[i].approximate;
    }
    table_append(&table, terminal, text);
    if (is_approximate) {
        text_append(text, "~ the place is that of a look in between, or of an earlier wait\n");
    }
}
