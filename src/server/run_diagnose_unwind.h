/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_diagnose_unwind - how the stacks of a run were walked
 *
 * Owner:   the result lies in the arena. Threads: any.
 * Tests:   run_diagnose_test.c, tests/e2e/test_unwinding.py
 */

#include "base/arena.h"
#include "model/results/diagnose.h"
#include "server/run.h"

/* 0 or -ENOMEM. */
int run_diagnose_unwind(struct run *run, struct arena *arena, struct diagnose_unwind *ret_unwind);
