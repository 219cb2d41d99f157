/* SPDX-License-Identifier: MIT */
#include "compare/student_t.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>

#define FRACTION_MAX_STEPS 500
#define FRACTION_PRECISION 1e-13
#define TINY 1e-300
#define LIMIT_STEPS 200

static double log_gamma(double x)
{
    int sign;
    return lgamma_r(x, &sign);
}

/* No divisor of the fraction may be zero. */
static double away_from_zero(double x)
{
    return fabs(x) < TINY ? TINY : x;
}

/* DLMF 8.17.22, from the top down (Lentz). Converges quickly below (a + 1) / (a + b + 2). */
static double beta_fraction(double x, double a, double b)
{
    double c = 1;
    double d = 1 / away_from_zero(1 - (a + b) * x / (a + 1));
    double value = d;
    for (int m = 1; m < FRACTION_MAX_STEPS; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 / away_from_zero(1 + even * d);
        c = away_from_zero(1 + even / c);
        value *= d * c;
        d = 1 / away_from_zero(1 + odd * d);
        c = away_from_zero(1 + odd / c);
        value *= d * c;
        if (fabs(d * c - 1) < FRACTION_PRECISION) {
            break;
        }
    }
    return value;
}

/* The regularized incomplete beta function. */
static double beta_share(double x, double a, double b)
{
    if (x <= 0 || x >= 1) {
        return x <= 0 ? 0 : 1;
    }
    double front = exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * log(x) + b * log1p(-x));
    bool is_left = x < (a + 1) / (a + b + 2);
    return is_left ? front * beta_fraction(x, a, b) / a
                   : 1 - front * beta_fraction(1 - x, b, a) / b;
}

double student_t_two_sided(double t, double freedom)
{
    assert(freedom >= 1);
    return beta_share(freedom / (freedom + t * t), freedom / 2, 0.5);
}

double student_t_limit(double probability, double freedom)
{
    assert(probability > 0 && probability < 1);
    double low = 0, high = 1;
    while (student_t_two_sided(high, freedom) > probability) {
        high *= 2;
    }
    for (int i = 0; i < LIMIT_STEPS && high - low > 1e-12 * high; i++) {
        double middle = (low + high) / 2;
        if (student_t_two_sided(middle, freedom) > probability) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high;
}
