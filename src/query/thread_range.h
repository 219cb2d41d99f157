/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * thread_range - each thread's running, runnable and blocked time in a range
 *
 * Owner, Threads: see attribution.h.
 * Tests:   thread_range_test.c
 */

#include "query/attribution.h"

/* Fills cpu_ns, blocked_ns, runnable_ns and the switch counts of threads in the view. `scratch` may
 * be NULL: -ENOMEM. */
int thread_range_compute(const struct query_context *context, uint64_t from_ns, uint64_t to_ns,
                         struct thread_share *threads);
