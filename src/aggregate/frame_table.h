/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * frame_table - every distinct place in the code that a run has seen
 *
 * Owner:   the table. Threads: one writer; readers below a published count.
 * Limits:  FRAME_TABLE_MAX frames, then -ENOSPC.
 * Tests:   frame_table_test.c
 */

#include <stddef.h>

#include "aggregate/snapshot.h"

#define FRAME_TABLE_MAX (1u << 26)

struct frame_table;

int frame_table_new(struct frame_table **ret_table);
struct frame_table *frame_table_free(struct frame_table *table);
DEFINE_FREEP(frame_table);

int frame_table_intern(struct frame_table *table, struct frame frame, frame_id *ret_id);
/* Puts a frame behind the others, where nothing will be interned: it is not found again. */
int frame_table_append(struct frame_table *table, struct frame frame);
struct frame frame_table_get(const struct frame_table *table, frame_id id);
uint32_t frame_table_count(const struct frame_table *table);
size_t frame_table_memory_bytes(const struct frame_table *table);
