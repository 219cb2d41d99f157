/* SPDX-License-Identifier: MIT */

/*
 * What programs reported themselves: lanes, names of spans, who queued them.
 * Single spans are in render_target_spans.c.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "cli/label.h"
#include "cli/quantity.h"
#include "cli/render.h"
#include "cli/table.h"

#define PLACE_MAX_BYTES (64u * 1024)

void render_span_path(char *const *path, size_t n_path, const char *name, struct text *text)
{
    for (size_t i = 0; i < n_path; i++) {
        label_append(text, path[i]);
        text_append(text, " → ");
    }
    label_append(text, name);
}

void render_span_place(const struct frame_result *stack, size_t n_stack, size_t n_inner,
                       struct text *text)
{
    n_inner = n_inner < n_stack ? n_inner : 0;
    render_place(NULL, stack + n_inner, n_stack - n_inner, text);
}

static void add_duration(struct table *table, uint64_t duration_ns)
{
    char duration[QUANTITY_TEXT_BYTES];
    quantity_format_duration(duration_ns, duration);
    table_add(table, "%s", duration);
}

/* "-" where there was nothing to wait for. */
static void add_waited(struct table *table, uint64_t n_waits, uint64_t waited_ns)
{
    if (n_waits > 0) {
        add_duration(table, waited_ns);
    } else {
        table_add(table, "-");
    }
}

static void append_spans(uint64_t spans, uint64_t target_ns, struct text *text)
{
    char target[QUANTITY_TEXT_BYTES];
    quantity_format_duration(target_ns, target);
    text_printf(text, "%" PRIu64 " span%s, %s of target time", spans, quantity_plural(spans),
                target);
}

static void append_limit(size_t n_rows, uint64_t all, struct text *text)
{
    if (n_rows < all) {
        text_printf(text, " (%zu shown; -n 0: all)", n_rows);
    }
}

/* ---- lanes ---- */

static const struct table_column lane_columns[] = {
    {"target ms", TABLE_RIGHT}, {"load", TABLE_RIGHT},   {"spans", TABLE_RIGHT},
    {"names", TABLE_RIGHT},     {"linked", TABLE_RIGHT}, {"waited", TABLE_RIGHT},
    {"first s", TABLE_RIGHT},   {"last s", TABLE_RIGHT}, {"kind", TABLE_LEFT},
    {"tid", TABLE_RIGHT},       {"pid", TABLE_RIGHT},    {"lane", TABLE_LEFT},
};

static void add_lane(struct table *table, const struct target_lane_row *row)
{
    table_add(table, "%.2f", (double)row->total_ns / NS_PER_MS);
    table_add(table, "%.2f", row->load);
    table_add(table, "%" PRIu64, row->spans);
    table_add(table, "%" PRIu64, row->names);
    if (row->spans > 0) {
        table_add(table, "%.1f %%", 100.0 * (double)row->origins.linked / (double)row->spans);
    } else {
        table_add(table, "-");
    }
    add_waited(table, row->waits, row->waited_ns);
    table_add(table, "%.3f", (double)row->first_ns / NS_PER_S);
    table_add(table, "%.3f", (double)row->last_ns / NS_PER_S);
    table_add(table, "%s", lane_kind_name(row->kind));
    table_add(table, "%" PRId64, row->tid);
    table_add(table, "%" PRId64, row->pid);
    table_add_label(table, row->name);
}

void render_target_lanes(const struct target_lanes_result *result, const struct terminal *terminal,
                         struct text *text)
{
    render_head(&result->run, &result->view, text);
    text_printf(text, "%" PRIu64 " lane%s", result->lanes, quantity_plural(result->lanes));
    append_limit(result->n_rows, result->lanes, text);
    text_append(text, ", ");
    append_spans(result->spans, result->target_ns, text);
    text_append_char(text, '\n');
    if (result->n_rows == 0) {
        return;
    }
    _cleanup_(table_releasep) struct table table;
    table_init(&table, lane_columns, sizeof(lane_columns) / sizeof(lane_columns[0]));
    for (size_t i = 0; i < result->n_rows; i++) {
        add_lane(&table, &result->rows[i]);
    }
    table_append(&table, terminal, text);
}

/* ---- names ---- */

static const struct table_column top_columns[] = {
    {"target ms", TABLE_RIGHT}, {"%", TABLE_RIGHT},   {"spans", TABLE_RIGHT}, {"avg", TABLE_RIGHT},
    {"p50", TABLE_RIGHT},       {"p95", TABLE_RIGHT}, {"p99", TABLE_RIGHT},   {"max", TABLE_RIGHT},
    {"waited", TABLE_RIGHT},    {"lane", TABLE_LEFT}, {"span", TABLE_LEFT},
};

/* By enum target_top_sort. */
static const char *const orders[] = {"time",        "count",           "average length",
                                     "longest one", "95th percentile", "99th percentile"};

static void add_name(struct table *table, const struct target_top_row *row)
{
    _cleanup_(text_releasep) struct text path;
    text_init(&path, PLACE_MAX_BYTES);
    render_span_path(row->path, row->n_path, row->name, &path);
    table_add(table, "%.2f", (double)row->total_ns / NS_PER_MS);
    table_add(table, "%.1f", row->total_pct);
    table_add(table, "%" PRIu64, row->spans);
    add_duration(table, row->avg_ns);
    add_duration(table, row->p50_ns);
    add_duration(table, row->p95_ns);
    add_duration(table, row->p99_ns);
    add_duration(table, row->max_ns);
    add_waited(table, row->waits, row->waited_ns);
    table_add_label(table, row->lane);
    table_add(table, "%s", path.data);
}

void render_target_top(const struct target_top_result *result, const struct terminal *terminal,
                       struct text *text)
{
    render_head(&result->run, &result->view, text);
    append_spans(result->spans, result->target_ns, text);
    text_printf(text, "; %" PRIu64 " name%s by %s", result->names, quantity_plural(result->names),
                orders[result->sort]);
    append_limit(result->n_rows, result->names, text);
    text_append_char(text, '\n');
    if (result->n_rows == 0) {
        return;
    }
    _cleanup_(table_releasep) struct table table;
    table_init(&table, top_columns, sizeof(top_columns) / sizeof(top_columns[0]));
    for (size_t i = 0; i < result->n_rows; i++) {
        add_name(&table, &result->rows[i]);
    }
    table_append(&table, terminal, text);
}

/* ---- who queued them, who waited ---- */

static const struct table_column origin_columns[] = {
    {"target ms", TABLE_RIGHT}, {"%", TABLE_RIGHT},   {"spans", TABLE_RIGHT},
    {"queued by", TABLE_LEFT},  {"lane", TABLE_LEFT}, {"span", TABLE_LEFT},
    {"from", TABLE_LEFT},
};

static const struct table_column waiter_columns[] = {
    {"waited ms", TABLE_RIGHT}, {"waits", TABLE_RIGHT}, {"who waited", TABLE_LEFT},
    {"lane", TABLE_LEFT},       {"span", TABLE_LEFT},   {"where", TABLE_LEFT},
};

static void add_place(struct table *table, const struct frame_result *stack, size_t n_stack,
                      size_t n_inner)
{
    _cleanup_(text_releasep) struct text place;
    text_init(&place, PLACE_MAX_BYTES);
    if (n_stack > 0) {
        render_span_place(stack, n_stack, n_inner, &place);
    } else {
        text_append_char(&place, '-');
    }
    table_add(table, "%s", place.data);
}

/* The thread, or in brackets why nobody knows it. */
static void add_thread(struct table *table, const char *name, int64_t tid, const char *otherwise)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, PLACE_MAX_BYTES);
    if (tid != 0) {
        render_thread_name(name, tid, &text);
    } else {
        text_printf(&text, "(%s)", otherwise);
    }
    table_add(table, "%s", text.data);
}

/* Of several names the one with most time. */
static void add_what(struct table *table, const char *lane, const char *name, uint64_t n_names)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, PLACE_MAX_BYTES);
    label_append(&text, name);
    if (n_names > 1) {
        text_printf(&text, " (and %" PRIu64 " other%s)", n_names - 1, quantity_plural(n_names - 1));
    }
    table_add_label(table, lane);
    table_add(table, "%s", text.data);
}

static void append_distance(const struct origin_distance *distance, struct text *text)
{
    char min[QUANTITY_TEXT_BYTES];
    char avg[QUANTITY_TEXT_BYTES];
    char max[QUANTITY_TEXT_BYTES];
    quantity_format_duration(distance->min_ns, min);
    quantity_format_duration(distance->avg_ns, avg);
    quantity_format_duration(distance->max_ns, max);
    text_printf(text, " (%s from a stack on average, %s … %s)", avg, min, max);
}

/* "origins: 1200 linked (…), 3 too far (…), 1 missing origin". */
static void append_states(const struct target_origins_result *result, struct text *text)
{
    const char *separator = "origins: ";
    for (enum origin_state state = 0; state < ORIGIN_STATE_N; state++) {
        struct origin_counts counts = result->origins;
        uint64_t n = *origin_counts_at(&counts, state);
        if (n == 0) {
            continue;
        }
        text_printf(text, "%s%" PRIu64 " %s", separator, n, origin_state_name(state));
        if (state == ORIGIN_LINKED && result->linked.count > 0) {
            append_distance(&result->linked, text);
        } else if (state == ORIGIN_TOO_FAR && result->too_far.count > 0) {
            append_distance(&result->too_far, text);
        }
        separator = ", ";
    }
    text_append_char(text, '\n');
}

static void append_origins(const struct target_origins_result *result,
                           const struct terminal *terminal, struct text *text)
{
    _cleanup_(table_releasep) struct table table;
    table_init(&table, origin_columns, sizeof(origin_columns) / sizeof(origin_columns[0]));
    for (size_t i = 0; i < result->n_rows; i++) {
        const struct target_origin_row *row = &result->rows[i];
        table_add(&table, "%.2f", (double)row->total_ns / NS_PER_MS);
        table_add(&table, "%.1f", row->total_pct);
        table_add(&table, "%" PRIu64, row->count);
        add_thread(&table, row->thread, row->tid, origin_state_name(row->state));
        add_what(&table, row->lane, row->name, row->names);
        add_place(&table, row->stack, row->n_stack, row->n_inner);
    }
    table_append(&table, terminal, text);
}

static void append_waiters(const struct target_origins_result *result,
                           const struct terminal *terminal, struct text *text)
{
    char waited[QUANTITY_TEXT_BYTES];
    quantity_format_duration(result->waited_ns, waited);
    text_printf(text, "\n%" PRIu64 " wait%s for spans, %s while they ran", result->waits,
                quantity_plural(result->waits), waited);
    append_limit(result->n_waiters, result->wait_rows, text);
    text_append_char(text, '\n');
    _cleanup_(table_releasep) struct table table;
    table_init(&table, waiter_columns, sizeof(waiter_columns) / sizeof(waiter_columns[0]));
    for (size_t i = 0; i < result->n_waiters; i++) {
        const struct target_wait_row *row = &result->waiters[i];
        table_add(&table, "%.2f", (double)row->waited_ns / NS_PER_MS);
        table_add(&table, "%" PRIu64, row->count);
        add_thread(&table, row->thread, row->tid, "not known");
        add_what(&table, row->lane, row->name, row->names);
        add_place(&table, row->stack, row->n_stack, row->n_inner);
    }
    table_append(&table, terminal, text);
}

void render_target_origins(const struct target_origins_result *result,
                           const struct terminal *terminal, struct text *text)
{
    render_head(&result->run, &result->view, text);
    append_spans(result->spans, result->target_ns, text);
    text_printf(text, "; %" PRIu64 " row%s", result->origin_rows,
                quantity_plural(result->origin_rows));
    append_limit(result->n_rows, result->origin_rows, text);
    text_append_char(text, '\n');
    if (result->spans > 0) {
        append_states(result, text);
    }
    if (result->n_rows > 0) {
        append_origins(result, terminal, text);
    }
    if (result->n_waiters > 0) {
        append_waiters(result, terminal, text);
    }
}
