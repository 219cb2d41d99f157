/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * stack_filter - which stacks a view's --exclude and --focus leave
 *
 * The same rule for stacks of samples and of waits: a stack is left out where any of its frames
 * matches --exclude, or where --focus is given and none of its frames matches. Inlined functions
 * count as frames.
 *
 * Owner:   the flags lie in the arena of the query.
 * Threads: any.
 * Tests:   stack_filter_test.c, attribution_test.c
 */

#include <stdint.h>

#include "query/query.h"

/* What the frames of a stack are to a view's patterns. */
enum { STACK_EXCLUDED = 1, STACK_FOCUSED = 2 };

/*
 * By stack_id: is it left? *ret_is_kept is NULL where the view leaves all. 0, -ENOMEM, or -EINVAL
 * with what is wrong about a pattern.
 */
int stack_filter_make(const struct query_context *context, const uint8_t **ret_is_kept,
                      struct error *reterr_error);

/* By stack_id what the view's patterns say of it: STACK_…; 0 where it has none. As above. */
int stack_filter_flags(const struct query_context *context, const uint8_t **ret_flags,
                       struct error *reterr_error);
