/* SPDX-License-Identifier: MIT */
#include "query/function_sums.h"

#include <errno.h>

/*
 * Walks the tree depth first. A function's total is what lies below its
 * outermost occurrence on each path: recursion counts once.
 */
int function_sums_compute(const struct call_tree *tree, struct arena *arena,
                          struct function_sums **ret_sums)
{
    struct function_sums *sums = arena_alloc_array(arena, tree->n_functions, sizeof(*sums));
    if (!sums) {
        return -ENOMEM;
    }
    *ret_sums = sums;
    for (uint32_t i = 0; i < tree->n_functions; i++) {
        sums[i].function = i;
    }
    uint32_t at = tree->nodes[CALL_TREE_ROOT].first_child;
    while (at != CALL_TREE_NONE) {
        const struct call_node *node = &tree->nodes[at];
        struct function_sums *sum = &sums[node->function];
        sum->self_ns += call_tree_self_ns(tree, node);
        sum->self_samples += call_tree_self_samples(tree, node);
        sum->self_off_cpu_ns += call_tree_self_waits(tree, node).blocked_ns;
        if (sum->n_on_path++ == 0) {
            sum->total_ns += node->subtree_ns;
            sum->total_samples += node->subtree_samples;
            sum->total_off_cpu_ns += tree->subtree_waits ? tree->subtree_waits[at].blocked_ns : 0;
            sum->total_waits += tree->subtree_waits ? tree->subtree_waits[at].n_waits : 0;
        }
        if (node->first_child != CALL_TREE_NONE) {
            at = node->first_child;
            continue;
        }
        /* Up to the first node that has another child to visit. */
        for (;;) {
            node = &tree->nodes[at];
            if (at == CALL_TREE_ROOT) {
                return 0;
            }
            sums[node->function].n_on_path--;
            if (node->next_sibling != CALL_TREE_NONE) {
                at = node->next_sibling;
                break;
            }
            at = node->parent;
        }
    }
    return 0;
}
