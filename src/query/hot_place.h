/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * hot_place - where a thread was sampled most in a stretch of time
 *
 * Stretches are asked for from the last to the first and do not overlap, so
 * that all of them together read each sample once.
 *
 * Owner:   hot_places_init()/_release().
 * Threads: one.
 * Tests:   hot_place_test.c
 */

#include "base/cleanup.h"
#include "query/query.h"
#include "symbols/symbolizer.h"

struct hot_place {
    uint64_t n_samples;
    const struct symbol *symbol; /* the function; NULL: no sample, or none with a stack */
    stack_id stack;              /* of its stacks the most frequent one */
};

struct hot_places {
    const struct query_context *context;
    uint64_t next; /* samples from here on have been read */
    stack_id *stacks;
    size_t n_stacks, stacks_capacity;
    struct hot_stack *distinct;
    size_t distinct_capacity;
};

/* What is asked for ends at to_ns or before. */
void hot_places_init(const struct query_context *context, uint64_t to_ns,
                     struct hot_places *ret_places);
void hot_places_release(struct hot_places *places);
DEFINE_RELEASEP(hot_places);

/* Of the samples in [start_ns, end_ns). 0 or -ENOMEM. */
int hot_places_find(struct hot_places *places, thread_id thread, uint64_t start_ns, uint64_t end_ns,
                    struct hot_place *ret_place);
