/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * event_merge - one order in time across all rings
 *
 * Each ring is in order by itself. A round reads every ring, then delivers
 * what is old enough that no ring can still produce something older; the rest
 * is kept for the next round.
 *
 * Owner:   event_merge_new()/_free(); the batches belong to the merge.
 * Threads: one (the drain thread). Allocates at start only.
 * Tests:   event_merge_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "model/event_batch.h"
#include "model/event_sink.h"

struct event_merge;

int event_merge_new(size_t n_sources, struct event_merge **ret_merge);
struct event_merge *event_merge_free(struct event_merge *merge);
DEFINE_FREEP(event_merge);

/* Where events of this source go in this round; what is left from the last one is in it already. */
struct event_batch *event_merge_batch(struct event_merge *merge, size_t source);

/*
 * Delivers every event up to and including until_ns, in time order, and keeps
 * the rest. Returns the first non-zero answer of the sink, else 0.
 */
int event_merge_deliver(struct event_merge *merge, uint64_t until_ns,
                        const struct event_sink *sink);

uint64_t event_merge_delivered(const struct event_merge *merge);
/* Events that came after a later one had been delivered; their time was moved to that one's. */
uint64_t event_merge_late(const struct event_merge *merge);
