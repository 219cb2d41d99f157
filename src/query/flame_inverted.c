/* SPDX-License-Identifier: MIT */
/*
 * A member is a bundle of stacks that have been followed outwards to the same
 * node; one level down it stands at that node's parent. Members of a group are
 * moved in place, because nobody needs them where they were, so a tree of any
 * depth takes no more memory than its first level.
 */
#include <errno.h>
#include <stdlib.h>

#include "query/flame_tree.h"

struct member {
    uint32_t function;
    uint32_t node;
    uint64_t weight_ns, n_samples, off_cpu_ns;
};

static int by_function(const void *left, const void *right)
{
    const struct member *a = left, *b = right;
    if (a->function != b->function) {
        return a->function < b->function ? -1 : 1;
    }
    return a->node < b->node ? -1 : a->node > b->node;
}

/* Sorts by function and makes one of what has come to the same node; how many are left. */
static size_t merge(struct member *members, size_t n_members)
{
    if (n_members > 1) {
        qsort(members, n_members, sizeof(*members), by_function);
    }
    size_t n_merged = 0;
    for (size_t i = 0; i < n_members; i++) {
        if (n_merged > 0 && members[n_merged - 1].node == members[i].node) {
            members[n_merged - 1].weight_ns += members[i].weight_ns;
            members[n_merged - 1].n_samples += members[i].n_samples;
            members[n_merged - 1].off_cpu_ns += members[i].off_cpu_ns;
        } else {
            members[n_merged++] = members[i];
        }
    }
    return n_merged;
}

/* Moves each member to its caller; those that have none stay in `node` as its own time. */
static size_t move_out(const struct call_tree *calls, struct member *members, size_t n_members,
                       struct flame_node *node)
{
    size_t n_moved = 0;
    for (size_t i = 0; i < n_members; i++) {
        uint32_t parent = calls->nodes[members[i].node].parent;
        if (parent == CALL_TREE_ROOT) {
            node->self_active_ns += members[i].weight_ns;
            node->self_off_cpu_ns += members[i].off_cpu_ns;
            continue;
        }
        members[n_moved] = members[i];
        members[n_moved].node = parent;
        members[n_moved++].function = calls->nodes[parent].function;
    }
    return n_moved;
}

/* `members` are sorted by function. */
static void build_groups(struct flame_tree *tree, struct member *members, size_t n_members,
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
    for (size_t first = 0, next; first < n_members && tree->error == 0; first = next) {
        struct flame_node child = {0};
        uint32_t function = members[first].function;
        for (next = first; next < n_members && members[next].function == function; next++) {
            child.active_ns += members[next].weight_ns;
            child.samples += members[next].n_samples;
            child.off_cpu_ns += members[next].off_cpu_ns;
        }
        if (flame_tree_is_light(tree, &child) || depth > tree->max_depth) {
            node->hidden_nodes++;
            continue;
        }
        flame_tree_name(tree, function, &child);
        size_t n_moved = move_out(tree->calls, members + first, next - first, &child);
        n_moved = merge(members + first, n_moved);
        if (n_moved > 0) {
            build_groups(tree, members + first, n_moved, depth + 1, &child);
        }
        node->children[node->n_children++] = child;
    }
    flame_tree_sort(tree->mode, node->children, node->n_children);
}

/* Does the mode count anything that ends in this node? */
static bool is_member(const struct flame_tree *tree, const struct call_node *node)
{
    if (call_tree_self_waits(tree->calls, node).blocked_ns > 0) {
        return true;
    }
    return tree->mode != VIEW_MODE_OFF_CPU && call_tree_self_samples(tree->calls, node) > 0;
}

int flame_tree_build_inverted(struct flame_tree *tree, struct flame_node *root)
{
    const struct call_tree *calls = tree->calls;
    size_t n_members = 0;
    for (uint32_t i = 1; i < calls->n_nodes; i++) {
        n_members += is_member(tree, &calls->nodes[i]);
    }
    struct member *members = arena_alloc_array(tree->arena, n_members, sizeof(*members));
    if (!members) {
        return -ENOMEM;
    }
    size_t at = 0;
    for (uint32_t i = 1; i < calls->n_nodes; i++) {
        const struct call_node *node = &calls->nodes[i];
        if (is_member(tree, node)) {
            members[at++] = (struct member){
                .function = node->function,
                .node = i,
                .weight_ns = call_tree_self_ns(calls, node),
                .n_samples = call_tree_self_samples(calls, node),
                .off_cpu_ns = call_tree_self_waits(calls, node).blocked_ns,
            };
        }
    }
    n_members = merge(members, n_members);
    if (n_members > 0) {
        build_groups(tree, members, n_members, 1, root);
    }
    return tree->error;
}
