/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * slice_class - how long the stretch on a CPU was that a sample fell into
 *
 * A timer interrupt that comes late misses the end of a stretch, of a short
 * one a larger part. Time and samples are therefore counted by the length of
 * the stretch as well, in powers of two; what a sample stands for follows from
 * both (query/sample_weight.h).
 *
 * Shape:   class 0 is below 33 us, each further one twice as long, the last
 *          one everything from SLICE_LONG_NS on.
 * Owner, Threads: nothing is owned; any.
 * Source:  docs/design/0003-stacks-and-time.md
 * Tests:   pending_samples_test.c
 */

#include <stdint.h>

#define SLICE_CLASS_N 8
#define SLICE_CLASS_LONG (SLICE_CLASS_N - 1)

/* What a timer misses at the edges of a longer one is below one per cent. */
#define SLICE_LONG_NS (UINT64_C(1) << 21)
#define SLICE_SHORTEST_NS (SLICE_LONG_NS >> (SLICE_CLASS_N - 2))

static inline uint8_t slice_class_of(uint64_t length_ns)
{
    uint8_t slice_class = 0;
    for (uint64_t limit_ns = SLICE_SHORTEST_NS; limit_ns <= SLICE_LONG_NS && length_ns >= limit_ns;
         limit_ns *= 2) {
        slice_class++;
    }
    return slice_class;
}
