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
#include "query/flame_links.h"

struct flame_tree {
    const struct query_context *context;
    const struct call_tree *calls;
    struct flame_links links; /* what is shown below whom; upright trees only */
    struct arena *arena;
    enum view_mode mode;   /* which time weighs */
    uint64_t threshold_ns; /* lighter subtrees are cut and counted */
    uint32_t max_depth;
    int error;
};

/* Fill the children of `root`. 0 or -ENOMEM. */
int flame_tree_build(struct flame_tree *tree, struct flame_node *root);
int flame_tree_build_inverted(struct flame_tree *tree, struct flame_node *root);

/* For both. */
void flame_tree_name(const struct flame_tree *tree, uint32_t function, struct flame_node *node);
uint64_t flame_tree_weight(enum view_mode mode, const struct flame_node *node);
void flame_tree_sort(enum view_mode mode, struct flame_node *nodes, size_t n_nodes);

/* Is it light enough to be cut, or none of the mode's at all? */
bool flame_tree_is_light(const struct flame_tree *tree, const struct flame_node *node);
bool flame_tree_is_other(const struct flame_tree *tree, const struct flame_node *node);
