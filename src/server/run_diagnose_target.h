/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_diagnose_target - what became of the spans that programs reported
 *
 * Origins by what they came to, how far the linked ones were from a stack, what
 * was dropped and why, and a hint for each kind of trouble. Says nothing of runs
 * in which no program had anything to report.
 *
 * Owner:   texts lie in the arena.
 * Threads: any.
 * Source:  docs/design/0020-target-spans.md
 * Tests:   run_diagnose_target_test.c
 */

#include "aggregate/snapshot.h"
#include "base/arena.h"
#include "model/results/diagnose.h"
#include "server/target_ingest.h"

#define RUN_DIAGNOSE_TARGET_COUNTERS 64u
#define RUN_DIAGNOSE_TARGET_LOST ((size_t)EVENT_SPANS_LOST_CAUSE_N)
#define RUN_DIAGNOSE_TARGET_HINTS 32u

struct run_diagnose_target {
    const struct snapshot *snapshot;
    const struct target_ingest_stats *ingest;      /* NULL: not known; of a run that was opened */
    const struct target_producer_stats *producers; /* of the server; NULL: likewise */
    struct arena *arena;
};

/* Appends to the counters, losses and hints of a result, which have room for as many as said above.
 * 0 or -ENOMEM. */
int run_diagnose_target(const struct run_diagnose_target *target, struct diagnose_result *result);

/* Spans that should have come and did not; without those that ended when nobody recorded. */
uint64_t run_diagnose_spans_lost(const struct snapshot *snapshot);
