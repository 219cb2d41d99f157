/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * explain - why the kernel refused, and what to type
 *
 * The one place that turns (errno, what was tried, facts about the host) into
 * words. Backends hand over the facts; nothing here asks the host.
 *
 * Owner:   the caller's memory. Threads: any.
 * Tests:   explain_test.c, a case per row
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum explain_attempt {
    EXPLAIN_OPEN_EVENT, /* asking for an event of the target */
    EXPLAIN_MAP_RING,   /* memory for its records */
    EXPLAIN_FIND_TARGET,
};

struct explain_facts {
    int64_t pid;
    int event_paranoid; /* perf_event_paranoid; INT_MAX: this kernel has no such events */
    int64_t mlock_kb;
    bool is_privileged;
};

/* Fills code, message and hint for a negative errno. */
void explain_refusal(int negative_errno, enum explain_attempt attempt,
                     const struct explain_facts *facts, struct error *reterr_error);
