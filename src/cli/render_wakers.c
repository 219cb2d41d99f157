/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "base/clock.h"
#include "cli/label.h"
#include "cli/quantity.h"
#include "cli/render.h"
#include "cli/table.h"

#define PLACE_MAX_BYTES (64u * 1024)

static const struct table_column columns[] = {
    {"wakeups", TABLE_RIGHT}, {"ended ms", TABLE_RIGHT}, {"runq ms", TABLE_RIGHT},
    {"waker", TABLE_LEFT},    {"woke", TABLE_LEFT},      {"from", TABLE_LEFT},
};

/* How the kernel does that is always the same: who called it is what tells one from another. */
static void append_place(const struct frame_result *stack, size_t n_stack, struct text *text)
{
    size_t n_kernel = 0;
    while (n_kernel < n_stack && stack[n_kernel].kind == FRAME_KIND_KERNEL) {
        n_kernel++;
    }
    if (n_kernel < n_stack) {
        render_place(NULL, stack + n_kernel, n_stack - n_kernel, text);
    } else {
        render_place(NULL, stack, n_stack, text);
    }
}

static void add_thread(struct table *table, const char *name, int64_t tid, bool is_outsider)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, PLACE_MAX_BYTES);
    render_thread_name(name, tid, &text);
    text_append(&text, is_outsider ? " outside" : "");
    table_add(table, "%s", text.data);
}

static void add_row(struct table *table, const struct waker_row *row)
{
    table_add(table, "%" PRIu64, row->count);
    table_add(table, "%.2f", (double)row->wait_ended_ns / NS_PER_MS);
    table_add(table, "%.2f", (double)row->runq_ns / NS_PER_MS);
    add_thread(table, row->waker_name, row->waker_tid, row->is_outsider);
    add_thread(table, row->wakee_name, row->wakee_tid, false);
    _cleanup_(text_releasep) struct text place;
    text_init(&place, PLACE_MAX_BYTES);
    if (row->n_waker_stack > 0) {
        append_place(row->waker_stack, row->n_waker_stack, &place);
    }
    if (row->stacks > 1) {
        text_printf(&place, " (and %" PRIu64 " other stack%s)", row->stacks - 1,
                    quantity_plural(row->stacks - 1));
    }
    table_add(table, "%s", place.data);
}

static void append_link(const struct waker_link *link, struct text *text)
{
    char ended[QUANTITY_TEXT_BYTES];
    char runq[QUANTITY_TEXT_BYTES];
    quantity_format_duration(link->wait_ended_ns, ended);
    quantity_format_duration(link->runq_ns, runq);
    render_thread_name(link->wakee_name, link->wakee_tid, text);
    text_append(text, " was woken by ");
    render_thread_name(link->waker_name, link->waker_tid, text);
    text_printf(text,
                ": %" PRIu64 " time%s, which ended %s of waiting (%.1f %% of all that was "
                "ended), then %s to a CPU\n",
                link->count, quantity_plural(link->count), ended, link->share_pct, runq);
    if (link->n_waker_stack > 0) {
        text_append(text, "    from ");
        append_place(link->waker_stack, link->n_waker_stack, text);
        text_append_char(text, '\n');
    }
}

void render_wakers(const struct wakers_result *result, const struct terminal *terminal,
                   struct text *text)
{
    char ended[QUANTITY_TEXT_BYTES];
    quantity_format_duration(result->wait_ended_ns, ended);
    render_head(&result->run, &result->view, text);
    text_printf(text, "%" PRIu64 " wakeup%s ended %s of waiting; %" PRIu64 " row%s", result->count,
                quantity_plural(result->count), ended, result->wakers,
                quantity_plural(result->wakers));
    if (result->n_rows < result->wakers) {
        text_printf(text, " (%zu shown; -n 0: all)", result->n_rows);
    }
    text_append_char(text, '\n');
    if (result->n_rows > 0) {
        _cleanup_(table_releasep) struct table table;
        table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
        for (size_t i = 0; i < result->n_rows; i++) {
            add_row(&table, &result->rows[i]);
        }
        table_append(&table, terminal, text);
    }
    if (result->chain_end) {
        text_append_char(text, '\n');
        for (size_t i = 0; i < result->n_chain; i++) {
            append_link(&result->chain[i], text);
        }
        text_append(text, "the chain ends here: ");
        label_append(text, result->chain_end);
        text_append_char(text, '\n');
    }
}
