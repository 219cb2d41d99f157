/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * flame_spans - lanes and spans in a flame graph
 *
 * Shape:   upright: (all) → lane → span → inner span. Inverted: span → outer span → lane.
 *          What threads of the view have queued, on whatever lane: (all) → (queued work) → lane
 *          → span; these nodes are linked, and add nothing to those above them.
 * Owner:   nodes lie in the arena of the query.
 * Threads: any.
 * Source:  docs/design/0020-target-spans.md
 * Tests:   flame_spans_test.c
 */

#include "query/flame_tree.h"

/* Does this mode count the time of spans? */
bool flame_spans_are_shown(enum view_mode mode);

/* Adds the children to `root`. 0 or -ENOMEM. */
int flame_spans_add(const struct query_context *context, const struct attribution *attribution,
                    struct flame_tree *tree, bool is_inverted, struct flame_node *root);

/* A span below the stack in which somebody waited for it: a remark. */
struct flame_node flame_spans_waited(const struct query_context *context,
                                     const struct flame_link *link);
