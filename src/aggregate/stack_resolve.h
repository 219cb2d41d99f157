/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * stack_resolve - raw addresses of a sample to the id of its stack
 *
 * Owner, Threads: the aggregator's.
 */

#include "aggregate/aggregate_internal.h"

/* 0, or the negative errno of a table that is full. *ret_is_cut: outer frames are missing. */
int stack_resolve(struct aggregate *aggregate, const struct event *sample, stack_id *ret_stack,
                  bool *ret_is_cut);
