/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * student_t - how unlikely a difference is, measured in deviations that were estimated
 *
 * Owner:   none.
 * Threads: any.
 * Limits:  freedom of 1 or more; accurate to about ten digits.
 * Source:  the incomplete beta function: NIST Handbook of Mathematical
 *          Functions, 8.17 (continued fraction 8.17.22).
 * Tests:   student_t_test.c, against published tables
 */

/* That chance makes |t| at least this large; 1 at 0. */
double student_t_two_sided(double t, double freedom);

/* What |t| chance exceeds with this probability (0 < probability < 1). */
double student_t_limit(double probability, double freedom);
