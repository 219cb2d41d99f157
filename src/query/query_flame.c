/* SPDX-License-Identifier: MIT */
/*
 * The tree of stacks is one of addresses; people read one of functions. Nodes
 * under the same parent whose frames lie in the same function become one.
 */
#include <errno.h>
#include <stdlib.h>

#include "query/call_tree.h"

/* JSON nests twice per frame; readers bound their depth. */
#define DEPTH_MAX 900u

struct member {
    uint32_t function;
    stack_id stack;
};

struct builder {
    const struct call_tree *tree;
    const struct attribution *attribution;
    struct arena *arena;
    uint64_t threshold_ns;
    uint32_t max_depth;
    int error;
};

static int by_function(const void *left, const void *right)
{
    const struct member *a = left, *b = right;
    if (a->function != b->function) {
        return a->function < b->function ? -1 : 1;
    }
    return a->stack < b->stack ? -1 : a->stack > b->stack;
}

static int by_weight(const void *left, const void *right)
{
    const struct flame_node *a = left, *b = right;
    if (a->active_ns != b->active_ns) {
        return a->active_ns > b->active_ns ? -1 : 1;
    }
    return a->samples > b->samples ? -1 : a->samples < b->samples;
}

/* All children of the given nodes, sorted by function. */
static struct member *collect(struct builder *builder, const struct member *parents,
                              size_t n_parents, size_t *ret_n_members)
{
    const struct call_tree *tree = builder->tree;
    size_t n_members = 0;
    for (size_t i = 0; i < n_parents; i++) {
        stack_id child = tree->first_child[parents[i].stack];
        for (; child != CALL_TREE_NONE; child = tree->next_sibling[child]) {
            n_members++;
        }
    }
    struct member *members = arena_alloc_array(builder->arena, n_members, sizeof(*members));
    if (!members) {
        builder->error = -ENOMEM;
        n_members = 0;
    }
    size_t at = 0;
    for (size_t i = 0; i < n_parents && n_members > 0; i++) {
        stack_id child = tree->first_child[parents[i].stack];
        for (; child != CALL_TREE_NONE; child = tree->next_sibling[child]) {
            members[at++] = (struct member){.function = tree->function[child], .stack = child};
        }
    }
    if (n_members > 1) {
        qsort(members, n_members, sizeof(*members), by_function);
    }
    *ret_n_members = n_members;
    return members;
}

static void add_member(const struct builder *builder, stack_id stack, struct flame_node *node)
{
    node->active_ns += builder->tree->subtree_ns[stack];
    node->samples += builder->tree->subtree_samples[stack];
    node->self_active_ns += builder->attribution->stack_ns[stack];
}

static void name_node(const struct builder *builder, uint32_t function, struct flame_node *node)
{
    const struct symbol *symbol = builder->tree->symbols[function];
    node->name = symbol->name;
    node->image = symbol->image;
    node->kind = symbol->kind;
    node->address = call_tree_address(builder->arena, symbol);
}

static void build_children(struct builder *builder, const struct member *parents, size_t n_parents,
                           uint32_t depth, struct flame_node *node);

/* Makes a child of every group that is heavy enough; the others are counted. */
static void build_groups(struct builder *builder, const struct member *members, size_t n_members,
                         uint32_t depth, struct flame_node *node)
{
    size_t n_groups = 0;
    for (size_t i = 0; i < n_members; i++) {
        n_groups += i == 0 || members[i].function != members[i - 1].function;
    }
    node->children = arena_alloc_array(builder->arena, n_groups, sizeof(*node->children));
    if (!node->children) {
        builder->error = -ENOMEM;
        return;
    }
    for (size_t first = 0, next; first < n_members; first = next) {
        struct flame_node child = {0};
        uint64_t n_nodes = 0;
        for (next = first; next < n_members && members[next].function == members[first].function;
             next++) {
            add_member(builder, members[next].stack, &child);
            n_nodes += builder->tree->subtree_nodes[members[next].stack];
        }
        if (child.active_ns < builder->threshold_ns || depth > builder->max_depth) {
            node->hidden_nodes += n_nodes;
            continue;
        }
        name_node(builder, members[first].function, &child);
        build_children(builder, members + first, next - first, depth + 1, &child);
        node->children[node->n_children++] = child;
    }
    qsort(node->children, node->n_children, sizeof(*node->children), by_weight);
}

static void build_children(struct builder *builder, const struct member *parents, size_t n_parents,
                           uint32_t depth, struct flame_node *node)
{
    size_t n_members;
    const struct member *members = collect(builder, parents, n_parents, &n_members);
    if (n_members > 0 && builder->error == 0) {
        build_groups(builder, members, n_members, depth, node);
    }
}

/* CPU time without a place is a child of the root like any other. */
static int add_placeless(const struct attribution *attribution, struct arena *arena,
                         struct flame_node *root)
{
    struct flame_node *children = arena_alloc_array(arena, root->n_children + 2, sizeof(*children));
    if (!children) {
        return -ENOMEM;
    }
    size_t n_children = root->n_children;
    for (size_t i = 0; i < n_children; i++) {
        children[i] = root->children[i];
    }
    if (attribution->unsampled_ns > 0) {
        children[n_children++] = (struct flame_node){
            .name = "(not sampled)",
            .image = "",
            .active_ns = attribution->unsampled_ns,
            .self_active_ns = attribution->unsampled_ns,
        };
    }
    if (attribution->stack_samples[STACK_ID_EMPTY] > 0) {
        children[n_children++] = (struct flame_node){
            .name = "(no stack)",
            .image = "",
            .active_ns = attribution->stack_ns[STACK_ID_EMPTY],
            .self_active_ns = attribution->stack_ns[STACK_ID_EMPTY],
            .samples = attribution->stack_samples[STACK_ID_EMPTY],
        };
    }
    qsort(children, n_children, sizeof(*children), by_weight);
    root->children = children;
    root->n_children = n_children;
    return 0;
}

static int refuse_mode(enum view_mode mode, struct error *reterr_error)
{
    if (mode == VIEW_MODE_ACTIVE || mode == VIEW_MODE_CPU) {
        return 0;
    }
    error_set(reterr_error, "not_supported", "this version has the modes `active` and `cpu` only");
    error_hint(reterr_error, "`stax threads` shows how long each thread waited");
    return -EINVAL;
}

int query_flame(const struct query_context *context, const struct query_flame_options *options,
                struct flame_result *ret_result, struct error *reterr_error)
{
    struct attribution attribution;
    struct call_tree tree;
    int r = refuse_mode(context->view->mode, reterr_error);
    r = r ? r : attribution_compute(context, &attribution, reterr_error);
    r = r ? r : call_tree_build(context, &attribution, &tree);
    if (r != 0) {
        return r;
    }
    const struct totals *totals = &attribution.totals;
    bool has_depth = options->max_depth > 0 && options->max_depth < DEPTH_MAX;
    struct builder builder = {
        .tree = &tree,
        .attribution = &attribution,
        .arena = context->arena,
        .threshold_ns = (uint64_t)((double)totals->active_ns * options->threshold_pct / 100.0),
        .max_depth = has_depth ? options->max_depth : DEPTH_MAX,
    };
    struct flame_node root = {
        .name = "(all)",
        .image = "",
        .active_ns = totals->active_ns,
        .off_cpu_ns = totals->off_cpu_ns,
        .samples = totals->samples,
    };
    const struct member top = {.stack = STACK_ID_EMPTY};
    build_children(&builder, &top, 1, 1, &root);
    r = builder.error ? builder.error : add_placeless(&attribution, context->arena, &root);
    if (r != 0) {
        return r;
    }
    *ret_result = (struct flame_result){
        .run = attribution_stamp(context),
        .view = attribution.echo,
        .mode = context->view->mode,
        .totals = *totals,
        .root = root,
        .hint = attribution_hint(context, &attribution),
    };
    return 0;
}
