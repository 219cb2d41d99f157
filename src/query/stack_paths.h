/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * stack_paths - stacks of the same functions, told by one number
 *
 * Two stacks are different when they went through different places; for a person they are the
 * same when the same functions called each other.
 *
 * Shape:   a path is a function and the path of its caller; 0 is that of the
 *          empty stack. Frames of the scheduler at the inner end do not count.
 * Owner:   arrays lie in the arena of the query; stack_paths_release() frees
 *          what does not.
 * Threads: one.
 * Tests:   stack_paths_test.c
 */

#include <stdint.h>

#include "base/cleanup.h"
#include "base/hash_table.h"
#include "query/query.h"

struct stack_path; /* stack_paths.c */

struct stack_paths {
    const struct query_context *context;
    uint32_t *of_stack; /* path + 1; 0: not worked out */
    uint32_t *of_asked; /* the same, with frames of the scheduler left out at the inner end */
    struct stack_path *paths;
    uint32_t n_paths, n_paths_room;
    struct hash_table known;
};

/* 0 or -ENOMEM. */
int stack_paths_init(const struct query_context *context, struct stack_paths *ret_paths);
void stack_paths_release(struct stack_paths *paths);
DEFINE_RELEASEP(stack_paths);

/* 0 or -ENOMEM. */
int stack_paths_get(struct stack_paths *paths, stack_id stack, uint32_t *ret_path);
