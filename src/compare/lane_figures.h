/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * lane_figures - the lanes of both sides of a comparison
 *
 * A lane is known by its name and kind: the numbers of processes and lanes are
 * others in every run. Figures of several runs are their means.
 *
 * Owner:   rows lie in the arena of the first run; names are those of the runs.
 * Threads: any.
 * Tests:   lane_figures_test.c
 */

#include "compare/compare.h"

/* All of them, by the larger of both times. 0 or -ENOMEM. */
int lane_figures_compare(const struct compare_runs *base, const struct compare_runs *candidate,
                         struct compare_result *result);
