/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * stack_resolve - raw addresses of an event to the id of their stack
 *
 * Owner, Threads: the aggregator's.
 * Tests:   aggregate_test.c, wait_events_test.c
 */

#include "aggregate/aggregate_internal.h"

struct resolved_stack {
    stack_id stack;
    bool is_cut; /* outer frames are missing */
};

/* The stack of a thread of `pid`. 0, or the negative errno of a table that is full. */
int stack_resolve(struct aggregate *aggregate, int64_t pid, uint64_t time_ns,
                  const struct event_stack *stack, struct resolved_stack *ret_stack);

/* The stack without the kernel frames at its inner end. */
stack_id stack_user_part(const struct aggregate *aggregate, stack_id stack);

/* The user part of `stack` with these kernel frames. */
int stack_put_kernel(struct aggregate *aggregate, stack_id stack, const uint64_t *ips,
                     uint32_t n_ips, stack_id *ret_stack);

/* The stack with one more, innermost frame: a place of the kernel of which only the name is known.
 */
int stack_put_site(struct aggregate *aggregate, stack_id stack, const char *site,
                   stack_id *ret_stack);
