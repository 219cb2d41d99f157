/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * block_variance - how much the mean of a series over time would vary if it were measured again
 *
 * Neighbours in time resemble each other: a program works on one thing for a
 * while, then on another. A thousand samples of it tell less than a thousand
 * independent ones. What a block of time has in common with the next one does
 * not matter when whole blocks are drawn anew: the variance of their means is
 * that of the mean, whatever goes on inside a block.
 *
 * The blocks overlap, run over the end to the beginning, so that no instant
 * counts less than another, and fade in and out (Hann), so that what repeats
 * itself many times in a block does not count as chance. With all blocks drawn
 * infinitely often the variance is a sum, which is what is computed: nothing
 * here is random.
 *
 * Shape:   a plan says how long the blocks are; it is the same for all series
 *          of a comparison. Blocks are a BLOCK_VARIANCE_BLOCKS-th of the series.
 * Owner:   arrays lie in the arena of block_plan_make().
 * Threads: any.
 * Source:  docs/design/0016-compare.md. Tapered and circular block resampling:
 *          Paparoditis and Politis 2001; Politis and Romano 1992.
 * Tests:   block_variance_test.c; bench/compare.
 */

#include <stddef.h>

#include "base/arena.h"

#define BLOCK_VARIANCE_BLOCKS 8u
#define BLOCK_VARIANCE_LONG_BLOCKS 4u /* to see whether the others are long enough */
#define BLOCK_VARIANCE_MIN_BINS (4u * BLOCK_VARIANCE_BLOCKS)
#define BLOCK_VARIANCE_MAX_BINS (32u * BLOCK_VARIANCE_BLOCKS)

struct block_plan {
    size_t n_bins;   /* of a series; a multiple of BLOCK_VARIANCE_BLOCKS */
    size_t n_block;  /* bins of a block */
    double *taper;   /* n_block weights */
    double divisor;  /* of the sum of all squared block sums, to be the variance of the mean */
    double freedom;  /* degrees, of the estimate where the series is white noise */
    double *centred; /* the series less its mean, with its beginning behind its end */
};

/* As many bins as n_samples make sense for: between the least and the most; 0: too few. */
size_t block_plan_bins(double n_samples);

/* n_bins of block_plan_bins(), n_blocks one of the above. 0 or -ENOMEM. */
int block_plan_make(size_t n_bins, size_t n_blocks, struct arena *arena,
                    struct block_plan *ret_plan);

/* Of the mean of series[0 … n_bins). Uses the plan's scratch memory: one thread at a time. */
double block_plan_variance(const struct block_plan *plan, const double *series);
