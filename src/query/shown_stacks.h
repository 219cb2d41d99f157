/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * shown_stacks - the stacks of one answer, each made into frames once
 *
 * A thousand waits mostly have a dozen stacks: rows share their frames.
 *
 * Owner:   frames lie in the arena of the query; shown_stacks_release() frees
 *          what finds them.
 * Threads: one.
 * Tests:   shown_stacks_test.c
 */

#include "base/cleanup.h"
#include "base/hash_table.h"
#include "query/stack_frames.h"

struct shown_stack {
    size_t n_frames;
    struct frame_result *frames; /* innermost first */
};

struct shown_stacks {
    const struct query_context *context;
    size_t max_frames; /* the innermost ones; 0: all */
    struct hash_table ids;
    struct shown_stack *stacks;
    uint32_t n_stacks, capacity;
};

void shown_stacks_init(const struct query_context *context, size_t max_frames,
                       struct shown_stacks *ret_stacks);
void shown_stacks_release(struct shown_stacks *stacks);
DEFINE_RELEASEP(shown_stacks);

/* 0 or -ENOMEM; of STACK_ID_EMPTY no frames. */
int shown_stacks_get(struct shown_stacks *stacks, stack_id stack, struct shown_stack *ret_stack);
