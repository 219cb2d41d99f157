/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "base/clock.h"
#include "cli/quantity.h"
#include "cli/render.h"
#include "cli/table.h"

#define FRAME_MAX_BYTES (64u * 1024)
#define INDENT 2
#define MAX_DEPTH 4096 /* deeper than any stack that is recorded */

static const struct table_column columns[] = {
    {"active", TABLE_RIGHT}, {"target", TABLE_RIGHT}, {"spans", TABLE_RIGHT},
    {"%", TABLE_RIGHT},      {"frame", TABLE_LEFT},
};
static const struct table_column wait_columns[] = {
    {"off-CPU ms", TABLE_RIGHT}, {"%", TABLE_RIGHT}, {"frame", TABLE_LEFT}};
static const struct table_column wall_columns[] = {{"wall ms", TABLE_RIGHT},
                                                   {"active ms", TABLE_RIGHT},
                                                   {"off-CPU ms", TABLE_RIGHT},
                                                   {"%", TABLE_RIGHT},
                                                   {"frame", TABLE_LEFT}};

static uint64_t weight_ns(const struct flame_node *node, enum view_mode mode)
{
    switch (mode) {
    case VIEW_MODE_OFF_CPU:
        return node->off_cpu_ns;
    case VIEW_MODE_TARGET:
        return node->target_ns;
    case VIEW_MODE_CPU:
        return node->active_ns - node->target_ns;
    case VIEW_MODE_WALL:
        return node->active_ns + node->off_cpu_ns + node->runq_ns;
    case VIEW_MODE_ACTIVE:
        break;
    }
    return node->active_ns;
}

static void add_duration(struct table *table, uint64_t duration_ns)
{
    char duration[QUANTITY_TEXT_BYTES];
    quantity_format_duration(duration_ns, duration);
    table_add(table, "%s", duration);
}

static void add_ms(struct table *table, uint64_t duration_ns)
{
    table_add(table, "%.2f", (double)duration_ns / NS_PER_MS);
}

/* What is linked has no share in the nodes above it: where waits are told, the part of them that
 * the work took; else its own time only. */
static void add_linked_times(struct table *table, const struct flame_node *node,
                             enum view_mode mode)
{
    if (mode == VIEW_MODE_OFF_CPU) {
        add_ms(table, node->target_ns);
        return;
    }
    table_add(table, "%s", "");
    if (mode == VIEW_MODE_WALL) {
        table_add(table, "%s", "");
        add_ms(table, node->target_ns);
        return;
    }
    add_duration(table, node->target_ns);
    table_add(table, "%" PRIu64, node->spans);
}

/* The columns before the share. */
static void add_times(struct table *table, const struct flame_node *node, enum view_mode mode)
{
    if (mode == VIEW_MODE_OFF_CPU) {
        add_ms(table, node->off_cpu_ns);
        return;
    }
    if (mode == VIEW_MODE_WALL) {
        add_ms(table, weight_ns(node, mode));
        add_ms(table, node->active_ns);
        add_ms(table, node->off_cpu_ns);
        return;
    }
    add_duration(table, weight_ns(node, mode));
    add_duration(table, node->target_ns);
    table_add(table, "%" PRIu64, node->spans);
}

static void add_node(struct table *table, const struct flame_node *node,
                     const struct flame_result *result, unsigned depth)
{
    if (node->linked) {
        add_linked_times(table, node, result->mode);
        table_add(table, "%s", "");
    } else {
        add_times(table, node, result->mode);
        uint64_t whole_ns = weight_ns(&result->root, result->mode);
        double share_pct =
            whole_ns > 0 ? 100.0 * (double)weight_ns(node, result->mode) / (double)whole_ns : 0;
        table_add(table, "%.1f", share_pct);
    }
    _cleanup_(text_releasep) struct text frame;
    text_init(&frame, FRAME_MAX_BYTES);
    text_printf(&frame, "%*s", (int)(depth * INDENT), "");
    render_frame(node->name, node->image, node->inlined, &frame);
    if (node->linked) {
        text_append(&frame, " (linked)");
    }
    table_add(table, "%s", frame.data);
}

static bool has_linked(const struct flame_node *node, unsigned depth)
{
    bool is_found = node->linked;
    for (size_t i = 0; i < node->n_children && !is_found && depth < MAX_DEPTH; i++) {
        is_found = has_linked(&node->children[i], depth + 1);
    }
    return is_found;
}

static void add_tree(struct table *table, const struct flame_node *node,
                     const struct flame_result *result, unsigned depth)
{
    add_node(table, node, result, depth);
    if (depth == MAX_DEPTH) {
        return;
    }
    for (size_t i = 0; i < node->n_children; i++) {
        add_tree(table, &node->children[i], result, depth + 1);
    }
    if (node->hidden_nodes > 0) {
        for (size_t i = 0; i + 1 < table->n_columns; i++) {
            table_add(table, "%s", "");
        }
        table_add(table, "%*s…%" PRIu64 " more frame%s", (int)((depth + 1) * INDENT), "",
                  node->hidden_nodes, quantity_plural(node->hidden_nodes));
    }
}

void render_flame(const struct flame_result *result, const struct terminal *terminal,
                  struct text *text)
{
    char active[QUANTITY_TEXT_BYTES];
    char target[QUANTITY_TEXT_BYTES];
    char off_cpu[QUANTITY_TEXT_BYTES];
    quantity_format_duration(result->totals.active_ns, active);
    quantity_format_duration(result->totals.target_ns, target);
    quantity_format_duration(result->totals.off_cpu_ns, off_cpu);
    render_head(&result->run, &result->view, text);
    text_printf(text, "%s active, %s target, %s off-CPU", active, target, off_cpu);
    if (result->mode == VIEW_MODE_WALL) {
        char runq[QUANTITY_TEXT_BYTES];
        quantity_format_duration(result->totals.runq_ns, runq);
        text_printf(text, ", %s waiting for a CPU", runq);
    }
    text_printf(text, "%s\n", result->inverted ? ", callers below callees" : "");
    if (result->root.n_children == 0 && result->root.hidden_nodes == 0) {
        return;
    }
    _cleanup_(table_releasep) struct table table;
    if (result->mode == VIEW_MODE_OFF_CPU) {
        table_init(&table, wait_columns, sizeof(wait_columns) / sizeof(wait_columns[0]));
    } else if (result->mode == VIEW_MODE_WALL) {
        table_init(&table, wall_columns, sizeof(wall_columns) / sizeof(wall_columns[0]));
    } else {
        table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    }
    add_tree(&table, &result->root, result, 0);
    table_append(&table, terminal, text);
    if (has_linked(&result->root, 0)) {
        text_append(text, "(linked): work that ran in parallel, queued by these threads or waited "
                          "for here; its time is in no line above it\n");
    }
}
