/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * flame_links - spans that a thread is proven to have waited for, by where the wait began
 *
 * Shape:   by node of a call tree. Whole runs only: which wait was where is kept as sums.
 * Owner:   arrays lie in the arena of the query.
 * Threads: any.
 * Source:  docs/design/0020-target-spans.md
 * Tests:   flame_spans_test.c
 */

#include "query/call_tree.h"

struct flame_link {
    uint32_t node; /* of the call tree */
    uint32_t lane, name;
    uint64_t n_waits, waited_ns; /* what the waits and the spans share */
};

struct flame_links {
    size_t n_links;
    struct flame_link *links; /* by node, lane and name; each once */
};

/* 0 or -ENOMEM. */
int flame_links_make(const struct query_context *context, const struct attribution *attribution,
                     const struct call_tree *calls, struct flame_links *ret_links);

/* Those of one node. */
const struct flame_link *flame_links_of(const struct flame_links *links, uint32_t node,
                                        size_t *ret_n_links);
