/* SPDX-License-Identifier: MIT */
#include "query/span_tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/time_sum.h"
#include "query/portion.h"

struct builder {
    const struct query_context *context;
    const struct span_figures *figures;
    struct span_tree *tree;
    uint32_t *at;   /* by name: its node on the lane that is worked on … */
    uint32_t *seen; /* … if this is the lane's number + 1 */
};

static int by_lane_and_name(const void *left, const void *right)
{
    const struct span_node *a = left, *b = right;
    if (a->lane != b->lane) {
        return a->lane < b->lane ? -1 : 1;
    }
    return a->name < b->name ? -1 : a->name > b->name;
}

static uint32_t outer_name(const struct builder *builder, uint32_t name)
{
    return snapshot_span_name(builder->context->snapshot, name).parent;
}

/* One node for each row, each name around it and each lane. */
static size_t count_nodes(const struct builder *builder, struct span_node *nodes)
{
    size_t n_nodes = 0;
    for (size_t i = 0; i < builder->figures->n_rows; i++) {
        const struct span_figure *row = &builder->figures->rows[i];
        uint32_t name = row->name;
        while (builder->seen[name] != row->lane + 1) {
            builder->seen[name] = row->lane + 1;
            if (nodes) {
                nodes[n_nodes] = (struct span_node){
                    .lane = row->lane,
                    .name = name,
                    .parent = SPAN_TREE_NONE,
                    .first_child = SPAN_TREE_NONE,
                    .next_sibling = SPAN_TREE_NONE,
                    .subtree_nodes = 1,
                };
            }
            n_nodes++;
            name = name == 0 ? 0 : outer_name(builder, name);
        }
    }
    return n_nodes;
}

static void clear_seen(struct builder *builder)
{
    for (uint32_t i = 0; i <= builder->context->snapshot->n_span_names; i++) {
        builder->seen[i] = 0;
    }
}

static int make_nodes(struct builder *builder)
{
    struct arena *arena = builder->context->arena;
    size_t n_names = (size_t)builder->context->snapshot->n_span_names + 1;
    builder->at = arena_alloc_array(arena, n_names, sizeof(*builder->at));
    builder->seen = arena_alloc_array(arena, n_names, sizeof(*builder->seen));
    if (!builder->at || !builder->seen) {
        return -ENOMEM;
    }
    size_t n_nodes = count_nodes(builder, NULL);
    struct span_tree *tree = builder->tree;
    tree->nodes = arena_alloc_array(arena, n_nodes, sizeof(*tree->nodes));
    if (!tree->nodes || n_nodes >= SPAN_TREE_NONE) {
        return -ENOMEM;
    }
    clear_seen(builder);
    tree->n_nodes = (uint32_t)count_nodes(builder, tree->nodes);
    if (n_nodes > 1) {
        qsort(tree->nodes, n_nodes, sizeof(*tree->nodes), by_lane_and_name);
    }
    return 0;
}

/* Rows and nodes are in the same order; every row has a node. */
static void fill_nodes(struct builder *builder)
{
    struct span_tree *tree = builder->tree;
    size_t row_at = 0;
    clear_seen(builder);
    for (uint32_t i = 0; i < tree->n_nodes; i++) {
        struct span_node *node = &tree->nodes[i];
        builder->at[node->name] = i;
        builder->seen[node->name] = node->lane + 1;
        if (node->name != 0) {
            node->parent = builder->at[outer_name(builder, node->name)];
        }
        const struct span_figure *row = &builder->figures->rows[row_at];
        if (row_at < builder->figures->n_rows && row->lane == node->lane &&
            row->name == node->name) {
            bool is_lane = node->name == 0;
            node->is_shown = !is_lane;
            node->total_ns = row->total_ns;
            node->n_spans = row->n_spans;
            node->n_others = is_lane ? row->n_spans : 0;
            node->weight_ns = row->is_outermost ? row->total_ns : 0;
            node->self_ns = is_lane ? node->weight_ns : 0;
            row_at++;
        }
    }
}

/* What is not shown weighs what is inside of it; lanes know the number of all their spans. */
static void sum_up(struct span_tree *tree)
{
    uint32_t lane_at = 0;
    for (uint32_t i = 0; i < tree->n_nodes; i++) {
        lane_at = tree->nodes[i].name == 0 ? i : lane_at;
        if (i != lane_at) {
            tree->nodes[lane_at].n_spans += tree->nodes[i].n_spans;
        }
    }
    for (uint32_t i = tree->n_nodes; i-- > 0;) {
        struct span_node *node = &tree->nodes[i];
        if (node->parent == SPAN_TREE_NONE) {
            node->total_ns = node->weight_ns;
            tree->weight_ns = time_sum_ns(tree->weight_ns, node->weight_ns);
            tree->n_spans += node->n_spans;
            continue;
        }
        struct span_node *parent = &tree->nodes[node->parent];
        if (!parent->is_shown) {
            parent->weight_ns = time_sum_ns(parent->weight_ns, node->weight_ns);
            parent->total_ns = time_sum_ns(parent->total_ns, node->total_ns);
        }
        parent->subtree_nodes += node->subtree_nodes;
        node->next_sibling = parent->first_child;
        parent->first_child = i;
    }
}

/* Hands the time of a span to those inside of it, and keeps what is its own. */
static void share(struct span_tree *tree, struct span_node *node)
{
    struct span_node *nodes = tree->nodes;
    if (!node->is_shown && !node->is_inside) {
        return; /* what is inside of it is outermost */
    }
    struct portion portion = {.total_ns = node->weight_ns};
    for (uint32_t i = node->first_child; i != SPAN_TREE_NONE; i = nodes[i].next_sibling) {
        portion.weight = time_sum_ns(portion.weight, nodes[i].total_ns);
    }
    bool fits = portion.weight <= node->weight_ns;
    node->self_ns = node->weight_ns;
    for (uint32_t i = node->first_child; i != SPAN_TREE_NONE; i = nodes[i].next_sibling) {
        uint64_t part_ns = fits ? nodes[i].total_ns : portion_take(&portion, nodes[i].total_ns);
        nodes[i].is_inside = true;
        /* A sum that ended at its limit is less than its parts. */
        nodes[i].weight_ns = part_ns < node->self_ns ? part_ns : node->self_ns;
        node->self_ns -= nodes[i].weight_ns;
    }
}

int span_tree_build(const struct query_context *context, const struct span_figures *figures,
                    struct span_tree *ret_tree)
{
    *ret_tree = (struct span_tree){.tells_pids = span_tree_tells_pids(context->snapshot)};
    if (figures->n_rows == 0) {
        return 0;
    }
    struct builder builder = {.context = context, .figures = figures, .tree = ret_tree};
    int r = make_nodes(&builder);
    if (r != 0) {
        return r;
    }
    fill_nodes(&builder);
    sum_up(ret_tree);
    for (uint32_t i = 0; i < ret_tree->n_nodes; i++) {
        share(ret_tree, &ret_tree->nodes[i]);
    }
    return 0;
}

bool span_tree_tells_pids(const struct snapshot *snapshot)
{
    for (uint32_t i = 1; i < snapshot->n_lanes; i++) {
        if (snapshot->lanes[i].pid != snapshot->lanes[0].pid) {
            return true;
        }
    }
    return false;
}

const char *span_tree_name(const struct query_context *context, const struct span_node *node)
{
    return node->name == 0 ? context->snapshot->lanes[node->lane].name
                           : snapshot_span_name(context->snapshot, node->name).text;
}

const char *span_tree_image(const struct query_context *context, const struct span_node *node,
                            bool tells_pids)
{
    const struct lane_totals *lane = &context->snapshot->lanes[node->lane];
    const char *what = node->name == 0 ? lane_kind_name(lane->kind) : lane->name;
    const char *of = node->name == 0 ? " lane" : "";
    return tells_pids ? arena_printf(context->arena, "[%s%s, pid %" PRId64 "]", what, of, lane->pid)
                      : arena_printf(context->arena, "[%s%s]", what, of);
}
