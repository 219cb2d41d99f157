/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * share_difference - how sure a difference of two shares is, and which differences are more than
 * chance when many are looked at
 *
 * Shape:   first judge each, then correct all of them together.
 * Owner:   the caller's memory.
 * Threads: any.
 * Source:  docs/design/0016-compare.md; Holm 1979 for the correction.
 * Tests:   share_difference_test.c
 */

#include <stddef.h>

#include "base/arena.h"
#include "model/results/compare.h"

#define SHARE_DIFFERENCE_CONFIDENCE 0.95
#define SHARE_DIFFERENCE_LEVEL 0.05 /* of all tests of a comparison together */

/*
 * Deviation of a share p from run to run that one run cannot tell of (where
 * memory and threads came to lie, what else the machine did), as part of
 * p (1 - p). Measured: docs/design/0016-compare.md.
 */
#define SHARE_DIFFERENCE_RUN_TO_RUN_SELF 0.03
#define SHARE_DIFFERENCE_RUN_TO_RUN_TOTAL 0.06 /* of callers: of whole threads, too */

/* What is known of one share on one side. */
struct share_estimate {
    double ratio;     /* of the CPU time, 0 … 1 */
    double n_samples; /* independent ones, were there no resemblance in time */
};

/*
 * The variance that independent samples of a common share would give the difference: as little as
 * it can be.
 */
double share_difference_least_variance(const struct share_estimate *base,
                                       const struct share_estimate *candidate);

/* What one of SHARE_DIFFERENCE_RUN_TO_RUN_… adds to a variance that was learnt within runs. */
double share_difference_unseen_variance(const struct share_estimate *base,
                                        const struct share_estimate *candidate, double run_to_run);

/* Fills in all but adjusted_p and is_significant; variance > 0 and freedom are the difference's. */
void share_difference_judge(const struct share_estimate *base,
                            const struct share_estimate *candidate, double variance, double freedom,
                            struct compare_share *ret_share);

/* The same where there are too few samples to judge. */
void share_difference_leave(const struct share_estimate *base,
                            const struct share_estimate *candidate,
                            struct compare_share *ret_share);

/*
 * Sets adjusted_p and is_significant of all that were judged: the probability that even one of
 * the significant ones is chance is at most SHARE_DIFFERENCE_LEVEL. 0 or -ENOMEM.
 */
int share_difference_correct(struct compare_share **shares, size_t n_shares, struct arena *arena);
