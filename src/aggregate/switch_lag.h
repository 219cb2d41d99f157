/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * switch_lag - how late the records of switch-ins are
 *
 * The kernel accounts CPU time to a thread from the moment it is picked; the
 * record of the switch is written some microseconds later. On a thread that
 * runs 200 us at a time this hides several per cent of its CPU time. Where the
 * kernel tells a thread's total with each switch (per-CPU events), slices are
 * set right one by one (thread_table); elsewhere the process's total, told now
 * and then, gives the mean lag, and every slice begins that much earlier.
 *
 * Owner:   the caller's memory. Threads: the aggregator's.
 * Source:  docs/design/0003-stacks-and-time.md
 * Tests:   switch_lag_test.c
 */

#include <stdbool.h>
#include <stdint.h>

#include "aggregate/thread_table.h"

struct switch_lag {
    uint64_t lag_ns;
    int64_t pid;
    bool has_first;
    uint64_t first_told_ns, first_measured_ns, first_switches;
};

/* The kernel has accounted told_ns to all threads of pid up to time_ns. */
void switch_lag_update(struct switch_lag *lag, struct thread_table *threads, int64_t pid,
                       uint64_t time_ns, uint64_t told_ns);
