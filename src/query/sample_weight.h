/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * sample_weight - how much a sample stands for, by the length of the slice that it fell into
 *
 * A sampling timer that is delivered late misses the end of every slice. What
 * it misses per slice follows from counts: the scheduler says how long short
 * slices lasted together and how many there were, samples and their period how
 * much of it was met. A sample in slices of mean length L then weighs
 * L / (L - missed).
 *
 * Shape:   weights in units of SAMPLE_WEIGHT_ONE, used in proportion only: a
 *          thread's own time is what its samples share.
 * Owner:   the caller's memory. Threads: any.
 * Limits:  SAMPLE_WEIGHT_MISSED_MAX_NS; no weight is over two. All are one
 *          while few samples were taken in short slices, and where the kernel
 *          is not sampled: what is missed then is its own work at the ends of
 *          slices, which is not that of the functions in them.
 * Source:  docs/design/0003-stacks-and-time.md
 * Tests:   sample_weight_test.c
 */

#include "aggregate/snapshot.h"

#define SAMPLE_WEIGHT_ONE 65536u
#define SAMPLE_WEIGHT_MISSED_MAX_NS 60000u
#define SAMPLE_WEIGHT_MIN_SAMPLES 200u

struct sample_weights {
    uint64_t missed_ns; /* per slice; 0: nothing, or nothing that is more than chance */
    uint64_t by_class[SLICE_CLASS_N];
};

/*
 * Does each sample stand for its own period instead? Where nobody tells of switches, CPU time is
 * what samples stand for, and that can differ: files of other tools weigh them. What was folded
 * away has left its numbers only, but of a range there is none.
 */
bool sample_weights_are_own(const struct snapshot *snapshot, bool has_range);

/* is_own: what that says of the run. */
uint64_t sample_weight_of(const struct sample_weights *weights, bool is_own,
                          const struct stored_sample *sample);

void sample_weights_compute(const struct snapshot *snapshot, struct sample_weights *ret_weights);
