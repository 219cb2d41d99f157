/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * queueing_stack - the part of an origin's stack that says who queued the work, or waited for it
 *
 * An origin takes the stack of a sample near it, or of the sleep that follows: its innermost frames
 * are wherever the kernel, the C library and the library that reports spans happened to be.
 *
 * Owner:   none. Threads: any.
 * Tests:   query_target_origins_test.c
 */

#include "query/query.h"

/* Without such frames at the inner end; the stack itself where it has no others. */
stack_id queueing_stack(const struct query_context *context, stack_id stack);

/* How many frames are left out then, with those that were inlined. */
uint32_t queueing_stack_inner(const struct query_context *context, stack_id stack);

/* Is code of an image with this base name passed over? */
bool queueing_stack_passes(const char *image);
