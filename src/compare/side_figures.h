/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * side_figures - the figures of one side of a comparison, means where it has several runs
 *
 * Owner:   borrows the runs; arrays lie in their arena.
 * Threads: any.
 * Tests:   side_figures_test.c
 */

#include "compare/compare.h"

/* All but command and effective_samples. 0, -ENOMEM. */
int side_figures_sum(const struct compare_runs *runs, struct compare_side *ret_side,
                     struct error *reterr_error);
