/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * sample_weight - how much CPU time a sample stands for, by the length of its slice
 *
 * The scheduler says how much time all slices of a class took, the samples how
 * often a timer met them: their quotient over the whole run is the weight of a
 * sample in that class, whatever made the timer meet short slices more seldom.
 * Classes with too few samples for a quotient are taken together with their
 * neighbours. Where the kernel is not sampled all weights are equal: what short
 * slices lack is then the kernel's own work at their ends, which is not that of
 * the functions in them.
 *
 * Shape:   weights in ns, used in proportion to each other only: a thread's
 *          own time is what its samples share.
 * Threads: any.
 * Limits:  all weights are at least 1; where there are few samples they are equal.
 * Source:  docs/design/0003-stacks-and-time.md
 * Tests:   sample_weight_test.c
 */

#include "aggregate/snapshot.h"

/* Fewer samples than this make no quotient: 64 are one eighth off by chance. */
#define SAMPLE_WEIGHT_MIN_SAMPLES 64u

struct sample_weights {
    uint64_t class_ns[SLICE_CLASS_N];
};

void sample_weights_compute(const struct snapshot *snapshot, struct sample_weights *ret_weights);
