/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * function_sums - what each function of a call tree took
 *
 * Self is what ends in it, total what runs through it; a function that stands
 * several times on one stack counts once.
 *
 * Shape:   array by the tree's function numbers.
 * Owner:   lies in the arena of the query.
 * Threads: any.
 * Tests:   function_sums_test.c, query_top_test.c
 */

#include "query/call_tree.h"

struct function_sums {
    uint64_t self_ns, total_ns, self_samples, total_samples;
    uint64_t self_off_cpu_ns, total_off_cpu_ns, total_waits; /* where the tree counts waits */
    uint32_t function;
    uint32_t n_on_path; /* while walking: how often it stands between the root and here */
};

/* 0 or -ENOMEM. */
int function_sums_compute(const struct call_tree *tree, struct arena *arena,
                          struct function_sums **ret_sums);
