/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * image_quality - how many samples of each file have names
 *
 * A sample belongs to the file of its innermost frame.
 *
 * Owner:   array by image_id, in the arena.
 * Threads: any.
 * Tests:   image_quality_test.c
 */

#include "aggregate/snapshot.h"
#include "base/arena.h"

struct query_names;

struct image_quality {
    uint64_t n_samples;
    uint64_t n_named; /* of these the innermost function has a name */
};

/* Of the whole run. 0 or -ENOMEM. */
int image_quality_compute(const struct snapshot *snapshot, struct query_names *names,
                          struct arena *arena, struct image_quality **ret_qualities);
