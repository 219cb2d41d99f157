/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * compare_hint - what a comparison could not tell, one sentence behind the other
 *
 * Owner:   texts lie in the arena.
 * Threads: one.
 * Tests:   gates_test.c
 */

#include "base/arena.h"
#include "model/results/compare.h"

/* `text` goes behind what the hint says already; NULL: it could not be made. 0 or -ENOMEM. */
int compare_hint_add(struct compare_result *result, struct arena *arena, const char *text);
