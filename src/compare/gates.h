/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * gates - limits that a candidate must keep, and what is said where it does not
 *
 * Owner:   texts lie in the arena.
 * Threads: any.
 * Tests:   gates_test.c
 */

#include "base/arena.h"
#include "model/requests.h"
#include "model/results/compare.h"

/*
 * Adds threshold_failures to a result whose rows are all there are. A function
 * that neither side has keeps every limit; the hint says that. 0 or -ENOMEM.
 */
int gates_check(const struct compare_gates *gates, struct arena *arena,
                struct compare_result *result);
