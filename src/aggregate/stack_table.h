/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * stack_table - every distinct call stack of a run, stored once
 *
 * A recording repeats the same few thousand stacks millions of times. The
 * table turns a stack into a 32-bit id, so that a stored sample is 24 bytes
 * however deep its stack is, and two stacks are compared by comparing ids.
 *
 * Shape:   a tree of frames, root = outermost caller = id 0 (the empty stack);
 *          an id names a leaf. A node's parent always has a smaller id, so one
 *          backward pass over the ids sums a tree.
 * Owner:   the table owns its nodes; ids are valid for the whole run.
 * Threads: one writer. Readers may follow ids that the writer has published
 *          (aggregate/snapshot.h); nothing ever moves.
 * Limits:  STACK_TABLE_MAX_NODES nodes, then -ENOSPC; the caller counts it.
 * Source:  docs/design/0003-stacks-and-time.md
 * Tests:   stack_table_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "model/ids.h"

#define STACK_TABLE_MAX_NODES (1u << 26)

struct stack_node {
    stack_id parent;
    frame_id frame; /* meaningless for node 0 */
};

struct stack_table;

int stack_table_new(struct stack_table **ret_table);
struct stack_table *stack_table_free(struct stack_table *table);
DEFINE_FREEP(stack_table);

/* Finds or adds a stack. `frames` innermost first; n_frames may be 0. 0, -ENOMEM, -ENOSPC. */
int stack_table_intern(struct stack_table *table, const frame_id *frames, size_t n_frames,
                       stack_id *ret_id);

/* As stack_table_intern(), with `base` as the caller of the outermost of them. */
int stack_table_extend(struct stack_table *table, stack_id base, const frame_id *frames,
                       size_t n_frames, stack_id *ret_id);
/* Puts a node behind the others, where nothing will be interned: it is not found again. Its parent
 * has to be there. */
int stack_table_append(struct stack_table *table, struct stack_node node);
struct stack_node stack_table_get(const struct stack_table *table, stack_id id);
uint32_t stack_table_count(const struct stack_table *table);
size_t stack_table_memory_bytes(const struct stack_table *table);
