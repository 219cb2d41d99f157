/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * portion - hands out a sum in proportion to weights, so that the parts add up to it exactly
 *
 * Shape:   fill total_ns and weight (the sum of all weights that will come), then take.
 * Owner:   the caller holds the struct.
 * Threads: one.
 * Tests:   attribution_test.c, wait_shares_test.c
 */

#include <stdint.h>

struct portion {
    uint64_t total_ns;
    uint64_t weight, weight_given;
    uint64_t given_ns;
};

static inline uint64_t portion_take(struct portion *portion, uint64_t weight)
{
    uint64_t before_ns = portion->given_ns;
    portion->weight_given += weight;
    if (portion->weight > 0) {
        portion->given_ns = (uint64_t)((unsigned __int128)portion->total_ns *
                                       portion->weight_given / portion->weight);
    }
    return portion->given_ns - before_ns;
}
