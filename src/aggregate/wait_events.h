/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wait_events - what events tell of waits: where, on what, who ended them
 *
 * A wait has the stack that its switch-out told. Where none is told there is
 * an approximate one: where the thread was found by whoever looked, else where
 * it was found the last time, else where it was sampled before it waited.
 *
 * Owner, Threads: the aggregator's.
 * Source:  docs/design/0003-stacks-and-time.md
 * Tests:   wait_events_test.c, wait_conservation_test.c
 */

#include "aggregate/aggregate_internal.h"

/* How the table of threads tells of waits. */
struct slice_sink wait_events_sink(struct slice_sink sink);

/* One event each: 0, or the negative errno of a table that is full. */
int wait_events_switch_in(struct aggregate *aggregate, const struct event *event, thread_id id);
int wait_events_switch_out(struct aggregate *aggregate, const struct event *event, thread_id id);
int wait_events_seen(struct aggregate *aggregate, const struct event *event);
int wait_events_wakeup(struct aggregate *aggregate, const struct event *event);

/* Stores the waits that need not stay any longer at now_ns, or all; returns how many failed. */
size_t wait_events_store(struct aggregate *aggregate, uint64_t now_ns, bool is_forced);

/* A sample of the thread: its stack may have to do for that of its next wait. */
void wait_events_sampled(struct thread *thread, stack_id stack);
