/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_shares - what each function of a run took, and how that went over time
 *
 * A run is cut into bins of equal CPU time, along the order of its samples;
 * the n-th bin of one run is held against the n-th of another, so that what a
 * program does first, and last, is compared with the same, however fast it
 * went. Each sample stands for as much time as in every other view
 * (attribution.h).
 *
 * Shape:   sums by number of function_identities; series by row: two for each
 *          function that is followed, what ends in it and what runs through it.
 * Owner:   arrays lie in the arena of the query context. Names and snapshot
 *          must stay as long as this is used.
 * Threads: one.
 * Limits:  series are of stored samples: those before folded_until_ns are gone,
 *          their sums are not.
 * Tests:   run_shares_test.c
 */

#include "compare/function_identity.h"
#include "query/call_tree.h"
#include "query/function_sums.h"
#include "query/sample_weight.h"

#define RUN_SHARES_NO_ROW UINT32_MAX

struct run_shares {
    const struct query_context *context;
    struct attribution attribution;
    struct call_tree tree; /* its functions are numbers of identities */
    uint32_t n_sums;
    struct function_sums *sums;
    double *thread_weights; /* by thread: nanoseconds for a sample of weight one */
    bool has_own_weights;   /* sample_weights_are_own() */
    struct sample_weights weights;
    double n_independent; /* samples, fewer where they weigh differently */
};

/* Shares over time of one side: the mean of its runs. */
struct share_series {
    size_t n_bins;
    uint32_t n_rows;
    double *values; /* [row][bin], 0 … 1 */
};

/* 0, -ENOMEM. function_identities_look() has seen all runs. */
int run_shares_measure(const struct query_context *context, struct function_identities *identities,
                       struct run_shares *ret_shares, struct error *reterr_error);

/* Of the run's CPU time, 0 … 1. A function that the run does not know has none. */
double run_shares_self(const struct run_shares *shares, uint32_t function);
double run_shares_total(const struct run_shares *shares, uint32_t function);
struct function_sums run_shares_sums(const struct run_shares *shares, uint32_t function);

/*
 * Adds the run's shares, times `part`, to the rows of the functions that are
 * followed: rows[function], for n_functions of them, is that of what ends in
 * it, the next one that of what runs through it. 0 or -ENOMEM.
 */
int run_shares_add_series(const struct run_shares *shares, const uint32_t *rows,
                          uint32_t n_functions, double part, struct share_series *series);
