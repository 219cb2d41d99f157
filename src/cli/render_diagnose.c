/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "cli/label.h"
#include "cli/quantity.h"
#include "cli/render.h"
#include "cli/table.h"

static const struct table_column counter_columns[] = {
    {"value", TABLE_RIGHT},
    {"unit", TABLE_LEFT},
    {"counter", TABLE_LEFT},
};

static const struct table_column image_columns[] = {
    {"frames", TABLE_RIGHT}, {"functions", TABLE_RIGHT}, {"names from", TABLE_LEFT},
    {"state", TABLE_LEFT},   {"image", TABLE_LEFT},
};

static const struct table_column table_columns[] = {
    {"rows", TABLE_RIGHT},      {"KiB", TABLE_RIGHT},  {"built ms", TABLE_RIGHT},
    {"waited ms", TABLE_RIGHT}, {"from", TABLE_LEFT},  {"cut stacks", TABLE_RIGHT},
    {"mostly for", TABLE_LEFT}, {"image", TABLE_LEFT},
};

static void append_title(const char *title, const struct terminal *terminal, struct text *text)
{
    text_printf(text, "\n%s%s%s\n", terminal_bold(terminal), title, terminal_plain(terminal));
}

static void append_stacks(const struct diagnose_stacks *stacks, struct text *text)
{
    double share_pct =
        stacks->total > 0 ? 100.0 * (double)stacks->complete / (double)stacks->total : 0;
    text_printf(text,
                "stacks   %" PRIu64 ": %" PRIu64 " complete (%.1f %%), %" PRIu64
                " truncated, %" PRIu64 " empty\n",
                stacks->total, stacks->complete, share_pct, stacks->truncated, stacks->empty);
}

static void append_lost(const struct diagnose_result *result, struct text *text)
{
    uint64_t lost_count = 0;
    for (size_t i = 0; i < result->n_lost; i++) {
        lost_count += result->lost[i].count;
    }
    text_printf(text, "lost     %" PRIu64, lost_count);
    const char *separator = ": ";
    for (size_t i = 0; i < result->n_lost; i++) {
        if (result->lost[i].count > 0) {
            text_printf(text, "%s%" PRIu64 " ", separator, result->lost[i].count);
            label_append(text, result->lost[i].cause);
            separator = ", ";
        }
    }
    text_append_char(text, '\n');
}

static void append_counters(const struct diagnose_result *result, const struct terminal *terminal,
                            struct text *text)
{
    _cleanup_(table_releasep) struct table table;
    table_init(&table, counter_columns, sizeof(counter_columns) / sizeof(counter_columns[0]));
    for (size_t i = 0; i < result->n_counters; i++) {
        const struct diagnose_counter *counter = &result->counters[i];
        _cleanup_(text_releasep) struct text name;
        text_init(&name, 4096);
        label_append(&name, counter->room);
        text_append_char(&name, '.');
        label_append(&name, counter->name);
        table_add(&table, "%" PRIu64, counter->value);
        table_add_label(&table, counter->unit ? counter->unit : "");
        table_add(&table, "%s", name.data);
    }
    append_title("Counters", terminal, text);
    table_append(&table, terminal, text);
}

static void append_images(const struct diagnose_result *result, const struct terminal *terminal,
                          struct text *text)
{
    _cleanup_(table_releasep) struct table table;
    table_init(&table, image_columns, sizeof(image_columns) / sizeof(image_columns[0]));
    uint64_t n_idle = 0;
    for (size_t i = 0; i < result->n_images; i++) {
        const struct diagnose_image *image = &result->images[i];
        if (image->frames == 0 && image->functions == 0) {
            n_idle++; /* mapped, but no stack led through it */
            continue;
        }
        table_add(&table, "%" PRIu64, image->frames);
        table_add(&table, "%" PRIu64, image->functions);
        table_add_label(&table, image->symbols);
        table_add_label(&table, image->state);
        table_add_label(&table, image->path);
    }
    append_title("Images", terminal, text);
    if (n_idle < result->n_images) {
        table_append(&table, terminal, text);
    }
    if (n_idle > 0) {
        text_printf(text, "…%" PRIu64 " more that no stack led through\n", n_idle);
    }
}

static void append_unwind(const struct diagnose_unwind *unwind, struct text *text)
{
    if (!unwind->enabled) {
        text_append(text, "unwind   off: stacks are what frame pointers tell\n");
        return;
    }
    text_printf(text, "unwind   %" PRIu64 " stacks walked, %.1f frames each", unwind->stacks,
                unwind->stacks ? (double)unwind->frames / (double)unwind->stacks : 0);
    for (size_t i = 0; i < unwind->n_ends; i++) {
        text_printf(text, "; %" PRIu64 ": ", unwind->ends[i].stacks);
        label_append(text, unwind->ends[i].cause);
    }
    text_append_char(text, '\n');
}

static void append_tables(const struct diagnose_unwind *unwind, const struct terminal *terminal,
                          struct text *text)
{
    _cleanup_(table_releasep) struct table table;
    table_init(&table, table_columns, sizeof(table_columns) / sizeof(table_columns[0]));
    for (size_t i = 0; i < unwind->n_tables; i++) {
        const struct diagnose_table *row = &unwind->tables[i];
        table_add(&table, "%" PRIu64, row->rows);
        table_add(&table, "%" PRIu64, (row->memory_bytes + 1023) / 1024);
        table_add(&table, "%.1f", (double)row->build_ns / 1e6);
        table_add(&table, "%.1f", (double)row->wait_ns / 1e6);
        table_add_label(&table, row->failure ? row->failure : row->origin);
        table_add(&table, "%" PRIu64, row->cut_stacks);
        table_add_label(&table, row->cut_cause ? row->cut_cause : "");
        table_add_label(&table, row->path);
    }
    append_title("Unwind tables", terminal, text);
    table_append(&table, terminal, text);
}

void render_diagnose(const struct diagnose_result *result, const struct terminal *terminal,
                     struct text *text)
{
    char duration[QUANTITY_TEXT_BYTES];
    quantity_format_duration(result->run.duration_ns, duration);
    text_printf(text, "run %" PRIu32 " (%s, %s), %" PRIu64 " events taken in\n", result->run.id,
                render_run_state(result->run.state), duration, result->run.sequence);
    if (result->backend) {
        text_append(text, "capture  ");
        label_append(text, result->backend);
        text_append_char(text, '\n');
    }
    append_stacks(&result->stacks, text);
    append_unwind(&result->unwind, text);
    append_lost(result, text);
    if (result->n_counters > 0) {
        append_counters(result, terminal, text);
    }
    if (result->n_images > 0) {
        append_images(result, terminal, text);
    }
    if (result->unwind.n_tables > 0) {
        append_tables(&result->unwind, terminal, text);
    }
    if (result->n_hints > 0) {
        append_title("Hints", terminal, text);
    }
    for (size_t i = 0; i < result->n_hints; i++) {
        text_append(text, "- ");
        label_append(text, result->hints[i]);
        text_append_char(text, '\n');
    }
}
