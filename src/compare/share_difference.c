/* SPDX-License-Identifier: MIT */
#include "compare/share_difference.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare/student_t.h"

#define PERCENT 100.0

/* Of both sides together. */
static double common_ratio(const struct share_estimate *base,
                           const struct share_estimate *candidate)
{
    double n = base->n_samples + candidate->n_samples;
    return (base->ratio * base->n_samples + candidate->ratio * candidate->n_samples) / n;
}

double share_difference_least_variance(const struct share_estimate *base,
                                       const struct share_estimate *candidate)
{
    double ratio = common_ratio(base, candidate);
    return ratio * (1 - ratio) * (1 / base->n_samples + 1 / candidate->n_samples);
}

double share_difference_unseen_variance(const struct share_estimate *base,
                                        const struct share_estimate *candidate, double run_to_run)
{
    double ratio = common_ratio(base, candidate);
    double deviation = run_to_run * ratio * (1 - ratio);
    return 2 * deviation * deviation;
}

void share_difference_leave(const struct share_estimate *base,
                            const struct share_estimate *candidate, struct compare_share *ret_share)
{
    double delta_pp = PERCENT * (candidate->ratio - base->ratio);
    *ret_share = (struct compare_share){
        .base_pct = PERCENT * base->ratio,
        .candidate_pct = PERCENT * candidate->ratio,
        .delta_pp = delta_pp,
        .low_pp = delta_pp,
        .high_pp = delta_pp,
        .p_value = 1,
        .adjusted_p = 1,
    };
}

void share_difference_judge(const struct share_estimate *base,
                            const struct share_estimate *candidate, double variance, double freedom,
                            struct compare_share *ret_share)
{
    share_difference_leave(base, candidate, ret_share);
    double deviation_pp = PERCENT * sqrt(variance);
    double reach_pp = student_t_limit(1 - SHARE_DIFFERENCE_CONFIDENCE, freedom) * deviation_pp;
    ret_share->is_tested = true;
    ret_share->low_pp = ret_share->delta_pp - reach_pp;
    ret_share->high_pp = ret_share->delta_pp + reach_pp;
    ret_share->p_value = student_t_two_sided(ret_share->delta_pp / deviation_pp, freedom);
}

static int by_p_value(const void *left, const void *right)
{
    const struct compare_share *a = *(struct compare_share *const *)left;
    const struct compare_share *b = *(struct compare_share *const *)right;
    return a->p_value < b->p_value ? -1 : a->p_value > b->p_value;
}

int share_difference_correct(struct compare_share **shares, size_t n_shares, struct arena *arena)
{
    struct compare_share **order =
        arena_alloc_array(arena, n_shares, sizeof(struct compare_share *));
    if (!order) {
        return -ENOMEM;
    }
    if (n_shares > 0) {
        memcpy(order, shares, n_shares * sizeof(struct compare_share *));
        qsort(order, n_shares, sizeof(struct compare_share *), by_p_value);
    }
    double adjusted = 0;
    for (size_t i = 0; i < n_shares; i++) {
        double mine = (double)(n_shares - i) * order[i]->p_value;
        adjusted = fmin(1, fmax(adjusted, mine));
        order[i]->adjusted_p = adjusted;
        order[i]->is_significant = adjusted < SHARE_DIFFERENCE_LEVEL;
    }
    return 0;
}
