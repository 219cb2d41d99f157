/* SPDX-License-Identifier: MIT */
#include "compare/block_variance.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

#define SAMPLES_PER_BIN 2 /* fewer would make no shorter blocks worth having */

size_t block_plan_bins(double n_samples)
{
    double n_wanted = n_samples / SAMPLES_PER_BIN;
    if (n_wanted < BLOCK_VARIANCE_MIN_BINS) {
        return 0;
    }
    size_t n_bins = n_wanted < BLOCK_VARIANCE_MAX_BINS ? (size_t)n_wanted : BLOCK_VARIANCE_MAX_BINS;
    return n_bins - n_bins % BLOCK_VARIANCE_BLOCKS;
}

/* How much the blocks see of a wave that fits `n_waves` times into the series. */
static double response(const struct block_plan *plan, size_t n_waves)
{
    double step = 2 * M_PI * (double)n_waves / (double)plan->n_bins;
    double real = 0, imaginary = 0;
    for (size_t j = 0; j < plan->n_block; j++) {
        real += plan->taper[j] * cos(step * (double)j);
        imaginary += plan->taper[j] * sin(step * (double)j);
    }
    return real * real + imaginary * imaginary;
}

/*
 * White noise has all waves alike but the one of no frequency, which goes with
 * the mean. Each wave (a sine and a cosine) is worth two degrees of freedom; a
 * weighted sum of them as many as give it its variance (Satterthwaite).
 */
static void calibrate(struct block_plan *plan)
{
    double sum = 0, sum_of_squares = 0;
    for (size_t k = 1; k < plan->n_bins; k++) {
        double seen = response(plan, k);
        sum += seen;
        sum_of_squares += seen * seen;
    }
    /* The squared block sums of white noise of variance s add up to s * sum; that of its mean is
     * s / n_bins. */
    plan->divisor = sum * (double)plan->n_bins;
    plan->freedom = sum * sum / sum_of_squares;
}

int block_plan_make(size_t n_bins, size_t n_blocks, struct arena *arena,
                    struct block_plan *ret_plan)
{
    assert(n_bins >= BLOCK_VARIANCE_MIN_BINS && n_bins % n_blocks == 0);
    size_t n_block = n_bins / n_blocks;
    struct block_plan plan = {
        .n_bins = n_bins,
        .n_block = n_block,
        .taper = arena_alloc_array(arena, n_block, sizeof(double)),
        .centred = arena_alloc_array(arena, n_bins + n_block, sizeof(double)),
    };
    if (!plan.taper || !plan.centred) {
        return -ENOMEM;
    }
    for (size_t j = 0; j < n_block; j++) {
        plan.taper[j] = (1 - cos(2 * M_PI * ((double)j + 0.5) / (double)n_block)) / 2;
    }
    calibrate(&plan);
    *ret_plan = plan;
    return 0;
}

double block_plan_variance(const struct block_plan *plan, const double *series)
{
    double mean = 0, sum = 0;
    for (size_t i = 0; i < plan->n_bins; i++) {
        mean += series[i] / (double)plan->n_bins;
    }
    for (size_t i = 0; i < plan->n_bins + plan->n_block; i++) {
        plan->centred[i] = series[i < plan->n_bins ? i : i - plan->n_bins] - mean;
    }
    for (size_t i = 0; i < plan->n_bins; i++) {
        double block = 0;
        for (size_t j = 0; j < plan->n_block; j++) {
            block += plan->taper[j] * plan->centred[i + j];
        }
        sum += block * block;
    }
    return sum / plan->divisor;
}
