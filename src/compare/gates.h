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
 * Adds threshold_failures to a result whose rows are all there are. Whether a
 * function has grown significantly is corrected for the differences that limits
 * are set on, not for all that were tested: they were named before anybody
 * looked. A limit that cannot be tested fails. 0 or -ENOMEM.
 */
int gates_check(const struct compare_gates *gates, struct arena *arena,
                struct compare_result *result);
