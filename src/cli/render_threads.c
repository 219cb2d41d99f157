/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "base/clock.h"
#include "cli/quantity.h"
#include "cli/render.h"
#include "cli/table.h"

static const struct table_column columns[] = {
    {"cpu ms", TABLE_RIGHT},  {"target ms", TABLE_RIGHT}, {"off-CPU ms", TABLE_RIGHT},
    {"runq ms", TABLE_RIGHT}, {"blocked", TABLE_LEFT},    {"samples", TABLE_RIGHT},
    {"spans", TABLE_RIGHT},   {"kind", TABLE_LEFT},       {"tid", TABLE_RIGHT},
    {"name", TABLE_LEFT},
};

static void add_ms(struct table *table, uint64_t duration_ns)
{
    table_add(table, "%.2f", (double)duration_ns / NS_PER_MS);
}

/* The largest reason with its time: "ready 812.40". */
static void add_blocked(struct table *table, const struct thread_row *row)
{
    enum wait_reason reason;
    if (!wait_reason_parse(row->blocked, &reason)) {
        table_add(table, "%s", "-");
        return;
    }
    struct off_cpu_by_reason times = row->off_cpu_by_reason_ns;
    table_add(table, "%s %.2f", wait_reason_name(reason),
              (double)*off_cpu_by_reason_at(&times, reason) / NS_PER_MS);
}

static void append_head(const struct threads_result *result, struct text *text)
{
    char cpu[QUANTITY_TEXT_BYTES];
    char off_cpu[QUANTITY_TEXT_BYTES];
    size_t n_lanes = 0; /* all of them have a row */
    for (size_t i = 0; i < result->n_rows; i++) {
        n_lanes += result->rows[i].kind == THREAD_KIND_TARGET;
    }
    uint64_t n_threads = result->threads - n_lanes;
    quantity_format_duration(result->totals.cpu_ns, cpu);
    quantity_format_duration(result->totals.off_cpu_ns, off_cpu);
    render_head(&result->run, &result->view, text);
    text_printf(text, "%" PRIu64 " thread%s", n_threads, quantity_plural(n_threads));
    if (result->n_rows < result->threads) {
        text_printf(text, " (%zu shown; -n 0: all)", result->n_rows - n_lanes);
    }
    text_printf(text, ", %s on CPU, %s off-CPU", cpu, off_cpu);
    if (n_lanes > 0) {
        char target[QUANTITY_TEXT_BYTES];
        quantity_format_duration(result->totals.target_ns, target);
        text_printf(text, "; %zu lane%s, %s target", n_lanes, quantity_plural(n_lanes), target);
    }
    text_append_char(text, '\n');
}

void render_threads(const struct threads_result *result, const struct terminal *terminal,
                    struct text *text)
{
    append_head(result, text);
    if (result->n_rows == 0) {
        return;
    }
    _cleanup_(table_releasep) struct table table;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < result->n_rows; i++) {
        const struct thread_row *row = &result->rows[i];
        add_ms(&table, row->cpu_ns);
        add_ms(&table, row->target_ns);
        add_ms(&table, row->off_cpu_ns);
        add_ms(&table, row->runq_ns);
        add_blocked(&table, row);
        table_add(&table, "%" PRIu64, row->samples);
        table_add(&table, "%" PRIu64, row->spans);
        table_add(&table, "%s", row->kind == THREAD_KIND_TARGET ? "target" : "thread");
        table_add(&table, "%" PRId64, row->tid);
        table_add_label(&table, row->name);
    }
    table_append(&table, terminal, text);
}
