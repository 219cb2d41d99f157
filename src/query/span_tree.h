/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * span_tree - lanes, their spans and what runs inside of those, with time that adds up
 *
 * A lane's time is that of its outermost spans. Spans inside of others share the time of the outer
 * ones: where they overlap each other, and so are longer together, in proportion.
 *
 * Shape:   nodes by lane and name, so parents before their children; name 0 is the lane itself, and
 *          its own part the spans whose names are one too many to be told.
 *          A node weighs what its children weigh and its own part. Of names that the view leaves
 *          out, but not what is inside of them, the node weighs that alone.
 * Owner:   arrays lie in the arena of the query.
 * Threads: any.
 * Source:  docs/design/0020-target-spans.md
 * Tests:   span_tree_test.c
 */

#include "query/span_figures.h"

#define SPAN_TREE_NONE UINT32_MAX

struct span_node {
    uint32_t lane, name;
    uint32_t parent;                    /* SPAN_TREE_NONE of a lane */
    uint32_t first_child, next_sibling; /* SPAN_TREE_NONE ends */
    uint32_t subtree_nodes;             /* itself included */
    bool is_shown;                      /* the view has spans of it; else it only holds others */
    bool is_inside;                     /* of one that is shown */
    uint64_t total_ns;                  /* of its spans, as they were reported */
    uint64_t n_spans;                   /* … of a lane: of all of them … */
    uint64_t n_others;                  /* … of these without a name */
    uint64_t weight_ns, self_ns;
};

struct span_tree {
    bool tells_pids; /* lanes of several processes: their names alone do not say which */
    uint32_t n_nodes;
    struct span_node *nodes;
    uint64_t weight_ns, n_spans; /* of all lanes */
};

/* 0 or -ENOMEM. */
int span_tree_build(const struct query_context *context, const struct span_figures *figures,
                    struct span_tree *ret_tree);

/* Do lanes of several processes report? */
bool span_tree_tells_pids(const struct snapshot *snapshot);

/* What a node is called: the lane's or the span's name. */
const char *span_tree_name(const struct query_context *context, const struct span_node *node);
/* Where it is, for the place of an image: the lane's name in brackets; of a lane its kind. NULL:
 * out of memory. */
const char *span_tree_image(const struct query_context *context, const struct span_node *node,
                            bool tells_pids);
