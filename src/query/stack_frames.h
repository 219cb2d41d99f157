/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * stack_frames - a stack as the functions that results show
 *
 * Shape:   innermost first; a place where functions were inlined is one frame for each of them.
 * Owner:   frames lie in the arena of the query, names belong to the symbolizer.
 * Threads: any.
 * Tests:   stack_frames_test.c
 */

#include <stddef.h>

#include "model/results/frame.h"
#include "query/query.h"

/* 0 or -ENOMEM. At most `max` frames, the innermost ones; 0: all. */
int frames_of_stack(const struct query_context *context, stack_id stack, size_t max,
                    struct frame_result **ret_frames, size_t *ret_n_frames);

/*
 * Without the frames of the scheduler at its inner end: how many of them a wait stack has depends
 * on how many programs watch the scheduler, and each wait has them.
 */
stack_id stack_without_scheduler(const struct query_context *context, stack_id stack);

/* How many there are without a bound. */
size_t stack_frames_count(const struct query_context *context, stack_id stack);
