/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * flame_tree - the nodes of a flame graph out of a call tree
 *
 * Shape:   nodes of the call tree under one parent that lie in the same
 *          function become one. Upright: callers above callees, a node weighs
 *          what runs through it. Inverted: what ran innermost on top, callers
 *          below it, a node weighs what its stacks spent in the top one.
 * Owner:   nodes lie in the arena.
 * Threads: any.
 * Tests:   query_flame_test.c
 */

#include "model/results/flame.h"
#include "query/call_tree.h"

struct flame_tree {
    const struct call_tree *calls;
    struct arena *arena;
    uint64_t threshold_ns; /* lighter subtrees are cut and counted */
    uint32_t max_depth;
    int error;
};

/* Fill the children of `root`. 0 or -ENOMEM. */
int flame_tree_build(struct flame_tree *tree, struct flame_node *root);
int flame_tree_build_inverted(struct flame_tree *tree, struct flame_node *root);

/* For both. */
void flame_tree_name(const struct flame_tree *tree, uint32_t function, struct flame_node *node);
int flame_tree_by_weight(const void *left, const void *right);
