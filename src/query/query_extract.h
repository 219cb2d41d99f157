/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * query_extract - a part of a run as a run of its own
 *
 * What lies in [from_ns, to_ns) becomes an aggregate that has ended: questions
 * about all of it have the answers that the run gives about that range, with
 * times that count from the new start. Tables (images, code epochs, frames,
 * stacks, outsiders, wait objects) have the ids of the run, so that its names
 * serve both; threads are those that lived in the range, and have new ids.
 * What a sample weighs is learnt from the whole run (sample_weight.h), and so is
 * what was lost.
 *
 * Owner:   the aggregate is the caller's; nothing in it points into the run.
 * Threads: any; works on the arena of the context.
 * Limits:  a wait that reaches over to_ns is cut there, and counts as ended; spans
 *          are cut at both ends, so that lengths of single ones are shorter. A name
 *          of which the part has no span takes nobody's time away there. An
 *          answer may differ by nanoseconds where a time is shared out.
 * Tests:   query_extract_test.c
 */

#include "aggregate/aggregate.h"
#include "query/query.h"

/* Absolute times within the snapshot of the context; its view does not matter. 0, -EINVAL where
 * the range is empty, -ENOMEM. */
int query_extract(const struct query_context *context, uint64_t from_ns, uint64_t to_ns,
                  const struct aggregate_config *config, struct aggregate **ret_aggregate,
                  struct error *reterr_error);
