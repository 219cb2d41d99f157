/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wait_shares - exact blocked time over the stacks in which threads waited
 *
 * The scheduler says how long each thread was blocked; waits say in which stack. What the waits of
 * a thread tell is made to sum to the thread's time exactly: time of which no wait tells has no
 * stack, and where switches are told late (aggregate/switch_lag.h) each wait is that much shorter.
 *
 * Shape:   a row per thread and stack, in no order. In a range waits count with what lies inside.
 *          Waits that last count with their length so far.
 * Owner:   rows lie in the arena of the query.
 * Threads: any.
 * Tests:   wait_shares_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "model/ids.h"

struct attribution;
struct query_context;

struct wait_share {
    thread_id thread;
    stack_id stack; /* STACK_ID_EMPTY: not known */
    uint8_t flags;  /* WAIT_FLAG_* of any of them */
    uint32_t n_open;
    wait_object_id object; /* of one of them, where its system call is needed; else it may be 0 */
    uint64_t n_waits;      /* 0: time of which no wait tells */
    uint64_t blocked_ns, max_ns;
};

struct wait_shares {
    size_t n_rows;
    struct wait_share *rows;
};

/*
 * Over thread_share.blocked_ns, before exclude and focus; needs the range and the threads of the
 * attribution only. 0 or -ENOMEM.
 */
int wait_shares_compute(const struct query_context *context, const struct attribution *attribution,
                        struct wait_shares *ret_shares);

/* The part of [start_ns, end_ns) that lies in [from_ns, to_ns). */
static inline uint64_t wait_overlap_ns(uint64_t start_ns, uint64_t end_ns, uint64_t from_ns,
                                       uint64_t to_ns)
{
    uint64_t first_ns = start_ns > from_ns ? start_ns : from_ns;
    uint64_t last_ns = end_ns < to_ns ? end_ns : to_ns;
    return last_ns > first_ns ? last_ns - first_ns : 0;
}

struct stored_wait;
struct thread_totals;

/* How much of the wait that lasts lies in the range so far; 0: none lasts. */
uint64_t wait_shares_open_ns(const struct attribution *attribution,
                             const struct thread_totals *totals);

/* A stored wait as a view sees it. 0, or what was returned first: the walk is over. */
typedef int (*wait_visit_cb)(void *userdata, const struct stored_wait *wait, uint64_t blocked_ns);

/* Every stored wait of the view's threads with time in its range, in no order. */
int wait_shares_visit(const struct query_context *context, const struct attribution *attribution,
                      wait_visit_cb visit, void *userdata);
