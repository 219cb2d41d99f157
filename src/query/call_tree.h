/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * call_tree - the stacks of a view as a tree with sums and functions
 *
 * A frame of a stack becomes one node for the function that holds it and,
 * below that, one for each function that was inlined there.
 *
 * Shape:   nodes, parents before their children, node 0 the root above all
 *          outermost frames; only nodes with samples in or below them, and
 *          with waits where the attribution has spread them.
 *          Functions are dense numbers, one for each distinct thing that the
 *          grouping asks for, so that a set of them is an array.
 * Owner:   arrays lie in the arena of the query.
 * Threads: any.
 * Tests:   call_tree_test.c, query_top_test.c, query_flame_test.c
 */

#include "query/attribution.h"
#include "symbols/symbolizer.h"

#define CALL_TREE_NONE UINT32_MAX
#define CALL_TREE_ROOT 0u

/* What counts as one function. */
enum call_tree_grouping {
    CALL_TREE_BY_FUNCTION,
    CALL_TREE_BY_IMAGE, /* all code of one file */
    CALL_TREE_BY_LINE,  /* one source line, wherever it was inlined */
};

struct call_tree_function {
    const struct symbol *symbol; /* by image and by line: the first one met */
    const char *file;            /* by line: NULL: the function has no line here */
    uint32_t line;
    image_id image;
    bool is_inlined;
};

struct call_node {
    uint32_t parent;                    /* CALL_TREE_NONE for the root */
    uint32_t function;                  /* CALL_TREE_NONE for the root */
    uint32_t first_child, next_sibling; /* CALL_TREE_NONE ends */
    stack_id stack;                     /* that ends here; CALL_TREE_NONE: none can */
    uint32_t subtree_nodes;             /* itself included */
    uint64_t subtree_ns, subtree_samples;
};

struct call_tree {
    uint32_t n_nodes;
    struct call_node *nodes;
    const uint32_t *node_of_stack;     /* by stack_id: its innermost; CALL_TREE_ROOT: none */
    struct stack_waits *subtree_waits; /* by node; NULL: waits do not count */
    const struct attribution *attribution;
    uint32_t n_functions;
    struct call_tree_function *functions;
};

/* What ends in a node. */
static inline uint64_t call_tree_self_ns(const struct call_tree *tree, const struct call_node *node)
{
    return node->stack != CALL_TREE_NONE ? tree->attribution->stack_ns[node->stack] : 0;
}

static inline uint64_t call_tree_self_samples(const struct call_tree *tree,
                                              const struct call_node *node)
{
    return node->stack != CALL_TREE_NONE ? tree->attribution->stack_samples[node->stack] : 0;
}

static inline struct stack_waits call_tree_self_waits(const struct call_tree *tree,
                                                      const struct call_node *node)
{
    const struct stack_waits *waits = tree->attribution->stack_waits;
    return waits && node->stack != CALL_TREE_NONE ? waits[node->stack] : (struct stack_waits){0};
}

/* 0 or -ENOMEM. Borrows the attribution. */
int call_tree_build(const struct query_context *context, const struct attribution *attribution,
                    enum call_tree_grouping grouping, struct call_tree *ret_tree);

/* "0x…" of a function's start, in the arena. */
const char *call_tree_address(struct arena *arena, const struct symbol *symbol);
