/* SPDX-License-Identifier: MIT */
#include "query/flame_tree.h"

#include <errno.h>
#include <stdlib.h>

#include "query/flame_spans.h"

struct member {
    uint32_t function;
    uint32_t node;
};

void flame_tree_name(const struct flame_tree *tree, uint32_t function, struct flame_node *node)
{
    const struct call_tree_function *meant = &tree->calls->functions[function];
    const struct symbol *symbol = meant->symbol;
    node->name = symbol->name;
    node->image = symbol->image;
    node->kind = symbol->kind;
    node->inlined = meant->is_inlined;
    node->address = meant->is_inlined ? NULL : call_tree_address(tree->arena, symbol);
}

/* Nodes have only times that the mode has asked for. */
uint64_t flame_tree_weight(enum view_mode mode, const struct flame_node *node)
{
    return mode == VIEW_MODE_OFF_CPU ? node->off_cpu_ns
                                     : node->active_ns + node->off_cpu_ns + node->runq_ns;
}

bool flame_tree_is_light(const struct flame_tree *tree, const struct flame_node *node)
{
    return flame_tree_weight(tree->mode, node) < tree->threshold_ns;
}

bool flame_tree_is_other(const struct flame_tree *tree, const struct flame_node *node)
{
    return tree->mode == VIEW_MODE_OFF_CPU && node->off_cpu_ns == 0;
}

static int by_weight(const void *left, const void *right, void *userdata)
{
    const struct flame_node *a = left, *b = right;
    const enum view_mode *mode = userdata;
    uint64_t weight_a = flame_tree_weight(*mode, a), weight_b = flame_tree_weight(*mode, b);
    if (weight_a != weight_b) {
        return weight_a > weight_b ? -1 : 1;
    }
    return a->samples > b->samples ? -1 : a->samples < b->samples;
}

void flame_tree_sort(enum view_mode mode, struct flame_node *nodes, size_t n_nodes)
{
    qsort_r(nodes, n_nodes, sizeof(*nodes), by_weight, &mode);
}

static int by_function(const void *left, const void *right)
{
    const struct member *a = left, *b = right;
    if (a->function != b->function) {
        return a->function < b->function ? -1 : 1;
    }
    return a->node < b->node ? -1 : a->node > b->node;
}

/* All children of the given nodes, sorted by function. */
static struct member *collect(struct flame_tree *tree, const struct member *parents,
                              size_t n_parents, size_t *ret_n_members)
{
    const struct call_node *nodes = tree->calls->nodes;
    size_t n_members = 0;
    for (size_t i = 0; i < n_parents; i++) {
        uint32_t child = nodes[parents[i].node].first_child;
        for (; child != CALL_TREE_NONE; child = nodes[child].next_sibling) {
            n_members++;
        }
    }
    struct member *members = arena_alloc_array(tree->arena, n_members, sizeof(*members));
    if (!members) {
        tree->error = -ENOMEM;
        n_members = 0;
    }
    size_t at = 0;
    for (size_t i = 0; i < n_parents && n_members > 0; i++) {
        uint32_t child = nodes[parents[i].node].first_child;
        for (; child != CALL_TREE_NONE; child = nodes[child].next_sibling) {
            members[at++] = (struct member){.function = nodes[child].function, .node = child};
        }
    }
    if (n_members > 1) {
        qsort(members, n_members, sizeof(*members), by_function);
    }
    *ret_n_members = n_members;
    return members;
}

/* Puts the spans that these nodes have waited for below the one that stands for them. */
static void add_waited(struct flame_tree *tree, const struct member *members, size_t n_members,
                       uint32_t depth, struct flame_node *node)
{
    size_t n_all = 0, n_found;
    for (size_t i = 0; i < n_members && tree->links.n_links > 0; i++) {
        (void)flame_links_of(&tree->links, members[i].node, &n_found);
        n_all += n_found;
    }
    if (n_all == 0) {
        return;
    }
    struct flame_node *children =
        arena_alloc_array(tree->arena, node->n_children + n_all, sizeof(*children));
    if (!children) {
        tree->error = -ENOMEM;
        return;
    }
    for (size_t i = 0; i < node->n_children; i++) {
        children[i] = node->children[i];
    }
    node->children = children;
    for (size_t i = 0; i < n_members; i++) {
        const struct flame_link *links = flame_links_of(&tree->links, members[i].node, &n_found);
        for (size_t k = 0; k < n_found; k++) {
            if (depth > tree->max_depth || links[k].waited_ns < tree->threshold_ns) {
                node->hidden_nodes++;
            } else {
                children[node->n_children++] = flame_spans_waited(tree->context, &links[k]);
            }
        }
    }
}

static void build_children(struct flame_tree *tree, const struct member *parents, size_t n_parents,
                           uint32_t depth, struct flame_node *node);

/* Makes a child of every group that is heavy enough; the others are counted. */
static void build_groups(struct flame_tree *tree, const struct member *members, size_t n_members,
                         uint32_t depth, struct flame_node *node)
{
    size_t n_groups = 0;
    for (size_t i = 0; i < n_members; i++) {
        n_groups += i == 0 || members[i].function != members[i - 1].function;
    }
    node->children = arena_alloc_array(tree->arena, n_groups, sizeof(*node->children));
    if (!node->children) {
        tree->error = -ENOMEM;
        return;
    }
    for (size_t first = 0, next; first < n_members; first = next) {
        struct flame_node child = {0};
        uint64_t n_nodes = 0;
        for (next = first; next < n_members && members[next].function == members[first].function;
             next++) {
            const struct call_node *member = &tree->calls->nodes[members[next].node];
            child.active_ns += member->subtree_ns;
            child.samples += member->subtree_samples;
            child.self_active_ns += call_tree_self_ns(tree->calls, member);
            child.self_off_cpu_ns += call_tree_self_waits(tree->calls, member).blocked_ns;
            if (tree->calls->subtree_waits) {
                child.off_cpu_ns += tree->calls->subtree_waits[members[next].node].blocked_ns;
            }
            n_nodes += member->subtree_nodes;
        }
        if (flame_tree_is_other(tree, &child)) {
            continue;
        }
        if (flame_tree_is_light(tree, &child) || depth > tree->max_depth) {
            node->hidden_nodes += n_nodes;
            continue;
        }
        flame_tree_name(tree, members[first].function, &child);
        build_children(tree, members + first, next - first, depth + 1, &child);
        add_waited(tree, members + first, next - first, depth + 1, &child);
        node->children[node->n_children++] = child;
    }
    flame_tree_sort(tree->mode, node->children, node->n_children);
}

static void build_children(struct flame_tree *tree, const struct member *parents, size_t n_parents,
                           uint32_t depth, struct flame_node *node)
{
    size_t n_members;
    const struct member *members = collect(tree, parents, n_parents, &n_members);
    if (n_members > 0 && tree->error == 0) {
        build_groups(tree, members, n_members, depth, node);
    }
}

int flame_tree_build(struct flame_tree *tree, struct flame_node *root)
{
    const struct member top = {.node = CALL_TREE_ROOT};
    build_children(tree, &top, 1, 1, root);
    return tree->error;
}
