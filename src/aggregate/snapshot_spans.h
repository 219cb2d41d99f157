/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * snapshot_spans - what a snapshot copies of lanes and spans
 *
 * Sums are copied, lengths are held, single spans are followed where they are.
 *
 * Owner, Threads: the aggregator's.
 * Tests:   snapshot_spans_test.c
 */

#include "aggregate/aggregate_internal.h"

/* The room that snapshot_spans_copy() takes. */
size_t snapshot_spans_bytes(const struct aggregate *aggregate);
/* Into the snapshot's memory. */
void snapshot_spans_copy(struct aggregate *aggregate, struct held_snapshot *held, void *memory);
/* Before that memory is freed. */
void snapshot_spans_release(struct held_snapshot *held);
