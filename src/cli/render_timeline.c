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
    bool is_lane = row->kind == THREAD_KIND_TARGET;
    size_t n_buckets = is_lane ? row->n_target_by_bucket_ns : row->n_cpu_by_bucket_ns;
    const uint64_t *buckets = is_lane ? row->target_by_bucket_ns : row->cpu_by_bucket_ns;
    for (size_t i = 0; i < n_buckets; i++) {
        bool is_last = i + 1 == n_buckets;
        uint64_t length_ns =
            is_last ? result->view.to_ns - result->view.from_ns - (uint64_t)i * result->bucket_ns
                    : result->bucket_ns;
        text_append(text, levels[level_of(buckets[i], length_ns, n_levels)]);
    }
}

static void add_ms(struct table *table, uint64_t duration_ns)
{
    table_add(table, "%.2f", (double)duration_ns / NS_PER_MS);
}

static void add_row(struct table *table, const struct timeline_result *result,
                    const struct timeline_row *row, bool has_lanes, bool is_ascii)
{
    _cleanup_(text_releasep) struct text line;
    text_init(&line, LINE_MAX_BYTES);
    append_sparkline(result, row, is_ascii, &line);
    add_ms(table, row->cpu_ns);
    add_ms(table, row->off_cpu_ns);
    add_ms(table, row->runq_ns);
    if (has_lanes) {
        add_ms(table, row->target_ns);
        table_add(table, "%" PRIu64, row->spans);
    }
    table_add(table, "|%s|", line.data);
    table_add(table, "%" PRId64, row->tid);
    table_add_label(table, row->name);
}

static void append_head(const struct timeline_result *result, size_t n_lanes, struct text *text)
{
    char bucket[QUANTITY_TEXT_BYTES];
    quantity_format_duration(result->bucket_ns, bucket);
    uint64_t n_threads = result->threads - n_lanes;
    render_head(&result->run, &result->view, text);
    text_printf(text, "%" PRIu64 " thread%s", n_threads, quantity_plural(n_threads));
    if (result->n_rows < result->threads) {
        text_printf(text, " (%zu shown; -n 0: all)", result->n_rows - n_lanes);
    }
    if (n_lanes > 0) {
        text_printf(text, ", %zu lane%s", n_lanes, quantity_plural(n_lanes));
    }
    text_printf(text, ", %" PRIu64 " bucket%s of %s\n", result->buckets,
                quantity_plural(result->buckets), bucket);
}

void render_timeline(const struct timeline_result *result, const struct terminal *terminal,
                     struct text *text)
{
    char from[QUANTITY_TEXT_BYTES];
    char to[QUANTITY_TEXT_BYTES];
    char title[3 * QUANTITY_TEXT_BYTES];
    size_t n_lanes = 0; /* all of them have a row */
    for (size_t i = 0; i < result->n_rows; i++) {
        n_lanes += result->rows[i].kind == THREAD_KIND_TARGET;
    }
    quantity_format_duration(result->view.from_ns, from);
    quantity_format_duration(result->view.to_ns, to);
    snprintf(title, sizeof(title), "on a CPU%s, %s to %s", n_lanes > 0 ? " or in spans" : "", from,
             to);
    append_head(result, n_lanes, text);
    if (result->n_rows == 0) {
        return;
    }
    const struct table_column columns[] = {
        {"cpu ms", TABLE_RIGHT}, {"off-CPU ms", TABLE_RIGHT}, {"runq ms", TABLE_RIGHT},
        {title, TABLE_LEFT},     {"tid", TABLE_RIGHT},        {"name", TABLE_LEFT},
    };
    const struct table_column lane_columns[] = {
        {"cpu ms", TABLE_RIGHT},    {"off-CPU ms", TABLE_RIGHT}, {"runq ms", TABLE_RIGHT},
        {"target ms", TABLE_RIGHT}, {"spans", TABLE_RIGHT},      {title, TABLE_LEFT},
        {"tid", TABLE_RIGHT},       {"name", TABLE_LEFT},
    };
    _cleanup_(table_releasep) struct table table;
    if (n_lanes > 0) {
        table_init(&table, lane_columns, sizeof(lane_columns) / sizeof(lane_columns[0]));
    } else {
        table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    }
    for (size_t i = 0; i < result->n_rows; i++) {
        add_row(&table, result, &result->rows[i], n_lanes > 0, terminal->is_ascii);
    }
    table_append(&table, terminal, text);
}
