/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * dispatch_hint - a program that hands work to a GPU, but tells nobody how long it ran
 *
 * Owner:   the text lies in the arena of the query.
 * Threads: any.
 * Tests:   dispatch_hint_test.c
 */

#include "query/call_tree.h"

/* Is it what programs call to have a GPU or an accelerator do something? */
bool dispatch_hint_is_dispatch(const char *function);

/* How to see that work, where the tree has such a function and the run no lane; else NULL. */
const char *dispatch_hint(const struct query_context *context, const struct call_tree *tree);
