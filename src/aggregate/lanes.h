/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * lanes - where a program says that its work runs, and what it calls that work
 *
 * Shape:   by the run's own numbers, dense: lanes from 0, names from 1. Name 0
 *          is what stands for names of which no sums are kept: "(other)".
 * Owner:   the caller's memory; texts live until lanes_release().
 * Threads: one writer; readers of names that were published to them. Lanes are
 *          copied.
 * Limits:  LIMIT_LANES, LIMIT_SPAN_NAMES, texts of LIMIT_SPAN_NAME_BYTES.
 * Tests:   lanes_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregate/chunked.h"
#include "aggregate/snapshot.h"
#include "base/arena.h"

struct lanes {
    struct lane_totals *lanes;
    uint32_t n_lanes, capacity;
    struct chunked names; /* struct span_name, with number 0 */
    struct arena text;
};

int lanes_init(struct lanes *lanes);
void lanes_release(struct lanes *lanes);

/* The next lane, or one that is there already, which stays as it is. 0; -EBADMSG: its number is
 * not the next one; -ENOSPC; -ENOMEM. */
int lanes_add(struct lanes *lanes, int64_t pid, const struct event_lane *lane);
/* As lanes_add(). A parent that is not there, or too deep, is none. */
int lanes_add_name(struct lanes *lanes, const struct event_span_name *name);

static inline uint32_t lanes_n_names(const struct lanes *lanes)
{
    return (uint32_t)lanes->names.n_items - 1;
}

static inline struct span_name lanes_name(const struct lanes *lanes, uint32_t name)
{
    return *(const struct span_name *)chunked_get(&lanes->names, name);
}

/* Books a span in the totals of its lane but total_ns, with an origin that is PENDING. Both of its
 * numbers have to be there. */
void lanes_count(struct lanes *lanes, const struct stored_span *span);
/* Its origin is not pending any more. */
void lanes_settle(struct lanes *lanes, uint32_t lane, enum origin_state state);
size_t lanes_memory_bytes(const struct lanes *lanes);
