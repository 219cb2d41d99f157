/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "base/clock.h"
#include "cli/quantity.h"
#include "cli/render.h"
#include "cli/table.h"

#define LINE_MAX_BYTES (64u * 1024)

static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
static const char *const letters[] = {" ", ".", ":", "-", "=", "+", "*", "#", "%", "@"};

/* Whatever is there at all is seen: only nothing is a blank. */
static size_t level_of(uint64_t part_ns, uint64_t whole_ns, size_t n_levels)
{
    if (part_ns == 0 || whole_ns == 0) {
        return 0;
    }
    size_t level = 1 + (size_t)((double)part_ns / (double)whole_ns * (double)(n_levels - 1));
    return level < n_levels ? level : n_levels - 1;
}

static void append_sparkline(const struct timeline_result *result, const struct timeline_row *row,
                             bool is_ascii, struct text *text)
{
    const char *const *levels = is_ascii ? letters : blocks;
    size_t n_levels =
        is_ascii ? sizeof(letters) / sizeof(*letters) : sizeof(blocks) / sizeof(*blocks);
    for (size_t i = 0; i < row->n_cpu_by_bucket_ns; i++) {
        bool is_last = i + 1 == row->n_cpu_by_bucket_ns;
        uint64_t length_ns =
            is_last ? result->view.to_ns - result->view.from_ns - (uint64_t)i * result->bucket_ns
                    : result->bucket_ns;
        text_append(text, levels[level_of(row->cpu_by_bucket_ns[i], length_ns, n_levels)]);
    }
}

static void add_ms(struct table *table, uint64_t duration_ns)
{
    table_add(table, "%.2f", (double)duration_ns / NS_PER_MS);
}

static void add_row(struct table *table, const struct timeline_result *result,
                    const struct timeline_row *row, bool is_ascii)
{
    _cleanup_(text_releasep) struct text line;
    text_init(&line, LINE_MAX_BYTES);
    append_sparkline(result, row, is_ascii, &line);
    add_ms(table, row->cpu_ns);
    add_ms(table, row->off_cpu_ns);
    add_ms(table, row->runq_ns);
    table_add(table, "|%s|", line.data);
    table_add(table, "%" PRId64, row->tid);
    table_add_label(table, row->name);
}

void render_timeline(const struct timeline_result *result, const struct terminal *terminal,
                     struct text *text)
{
    char bucket[QUANTITY_TEXT_BYTES];
    char from[QUANTITY_TEXT_BYTES];
    char to[QUANTITY_TEXT_BYTES];
    char title[3 * QUANTITY_TEXT_BYTES];
    quantity_format_duration(result->bucket_ns, bucket);
    quantity_format_duration(result->view.from_ns, from);
    quantity_format_duration(result->view.to_ns, to);
    snprintf(title, sizeof(title), "on a CPU, %s to %s", from, to);
    render_head(&result->run, &result->view, text);
    text_printf(text, "%" PRIu64 " thread%s", result->threads, quantity_plural(result->threads));
    if (result->n_rows < result->threads) {
        text_printf(text, " (%zu shown; -n 0: all)", result->n_rows);
    }
    text_printf(text, ", %" PRIu64 " bucket%s of %s\n", result->buckets,
                quantity_plural(result->buckets), bucket);
    if (result->n_rows == 0) {
        return;
    }
    const struct table_column columns[] = {
        {"cpu ms", TABLE_RIGHT}, {"off-CPU ms", TABLE_RIGHT}, {"runq ms", TABLE_RIGHT},
        {title, TABLE_LEFT},     {"tid", TABLE_RIGHT},        {"name", TABLE_LEFT},
    };
    _cleanup_(table_releasep) struct table table;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < result->n_rows; i++) {
        add_row(&table, result, &result->rows[i], terminal->is_ascii);
    }
    table_append(&table, terminal, text);
}
