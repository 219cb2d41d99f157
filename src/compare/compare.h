/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * compare - two runs, or groups of runs, side by side: what differs, and what of it is more than
 * chance
 *
 * The share of a function is estimated from samples. How far it would be off if
 * the same were recorded again is learnt from the run itself (block_variance.h)
 * or, where there are three runs or more on each side, from how they differ.
 * All differences that could be told are tested, and corrected for their
 * number (share_difference.h).
 *
 * Owner:   results lie in the arena of the first run's context, which is that
 *          of all.
 * Threads: any; each call works on its own arena.
 * Limits:  functions with fewer than COMPARE_MIN_SAMPLES samples in both sides
 *          together, or with all but so few, are not tested; of more than
 *          COMPARE_MAX_FUNCTIONS those with the most samples are.
 * Source:  docs/design/0016-compare.md
 * Tests:   compare_test.c; bench/compare
 */

#include "model/requests.h"
#include "model/results/compare.h"
#include "query/query.h"

#define COMPARE_MIN_SAMPLES 20u
#define COMPARE_MAX_FUNCTIONS 4096u
#define COMPARE_MIN_RUN_SAMPLES 64u /* of each run, for what differs within it to be known */
#define COMPARE_MIN_RUNS 3u         /* on each side, for what differs between them to be known */

/* One side; at least one run. */
struct compare_runs {
    size_t n_runs;
    const struct query_context *runs;
};

/*
 * The request's runs have been found: only its limit and its gates count here.
 * compare_side.command is left to whoever knows it. 0, -ENOMEM, or -EINVAL with
 * the reason.
 */
int compare_runs(const struct compare_runs *base, const struct compare_runs *candidate,
                 const struct compare_request *request, struct compare_result *ret_result,
                 struct error *reterr_error);
