/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * time_sum - times that programs tell, added up
 *
 * Owner:   none. Threads: any.
 * Limits:  a sum ends at TIME_SUM_MAX_NS, 292 years: it never wraps, also where it is taken for a
 *          signed number, or a CPU's time is added to it.
 * Tests:   span_totals_test.c, span_figures_test.c
 */

#include <stdint.h>

#define TIME_SUM_MAX_NS ((uint64_t)INT64_MAX)

static inline uint64_t time_sum_ns(uint64_t one_ns, uint64_t other_ns)
{
    uint64_t sum_ns;
    return __builtin_add_overflow(one_ns, other_ns, &sum_ns) || sum_ns > TIME_SUM_MAX_NS
               ? TIME_SUM_MAX_NS
               : sum_ns;
}
