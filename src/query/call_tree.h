/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * call_tree - the stacks of a view as a tree with sums and functions
 *
 * Shape:   arrays by stack_id: what lies in and below each node, its first
 *          child and next sibling; functions are dense numbers, one for each
 *          distinct symbol, so that a set of them is an array.
 * Owner:   arrays lie in the arena of the query.
 * Threads: any.
 * Tests:   query_top_test.c, query_flame_test.c
 */

#include "query/attribution.h"
#include "symbols/symbolizer.h"

#define CALL_TREE_NONE UINT32_MAX

struct call_tree {
    uint32_t n_stacks;
    uint64_t *subtree_ns, *subtree_samples;
    uint32_t *subtree_nodes;              /* nodes with weight in the subtree, itself included */
    stack_id *first_child, *next_sibling; /* of nodes with weight; CALL_TREE_NONE ends */
    uint32_t *function;                   /* of the node's frame; CALL_TREE_NONE for node 0 */
    uint32_t n_functions;
    const struct symbol **symbols; /* by function */
};

/* 0 or -ENOMEM. */
int call_tree_build(const struct query_context *context, const struct attribution *attribution,
                    struct call_tree *ret_tree);

/* "0x…" of a function's start, in the arena. */
const char *call_tree_address(struct arena *arena, const struct symbol *symbol);
