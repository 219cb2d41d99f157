/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_diagnose - the pipeline's own accounting of one run, with a hint for what looks wrong
 *
 * Owner:   the result lies in the arena.
 * Threads: any but the main loop (it takes a snapshot).
 * Tests:   run_diagnose_test.c
 */

#include "base/arena.h"
#include "model/results/diagnose.h"
#include "server/run.h"

/* As of a snapshot of the run (NULL: of now). 0 or -ENOMEM. */
int run_diagnose(struct run *run, struct snapshot *snapshot, struct arena *arena,
                 struct diagnose_result *ret_result);
