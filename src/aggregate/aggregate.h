/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * aggregate - events folded into the state that queries read
 *
 * Owner:   aggregate_new()/_free(). Free it only after its last snapshot.
 * Threads: apply, tick and snapshot_take belong to one thread (the aggregator
 *          of the run); everything else goes through snapshots.
 * Limits:  config.max_memory_bytes: past it the oldest stored samples,
 *          slices and waits are dropped (their sums stay), see snapshot.folded_until_ns;
 *          likewise what is older than config.ring_ns, in whole chunks.
 * Source:  docs/design/0003-stacks-and-time.md
 * Tests:   aggregate_test.c
 */

#include <stdbool.h>
#include <stdint.h>

#include "aggregate/snapshot.h"
#include "base/cleanup.h"
#include "images/image_table.h"

struct aggregate;

/* What the aggregate tells while it works; called on the aggregator's thread, must not block. */
struct aggregate_listener {
    void *userdata;
    void (*on_image)(void *userdata, const struct image *image); /* first mapped */
    void (*on_image_seen)(void *userdata, image_id image);       /* first frame in it */
};

struct aggregate_config {
    uint64_t max_memory_bytes; /* 0: no bound */
    uint64_t ring_ns;          /* history that is older than this is dropped; 0: none is */
    bool has_no_switches;      /* recorded with --no-off-cpu: CPU time is samples × period */
    struct aggregate_listener listener;
    /* Grows when made code was found to have replaced other code (code_epoch.h). May be NULL. */
    const _Atomic uint64_t *code_reuse_count;
};

int aggregate_new(const struct aggregate_config *config, struct aggregate **ret_aggregate);
struct aggregate *aggregate_free(struct aggregate *aggregate);
DEFINE_FREEP(aggregate);

/* The run's first instant until its first event, whose time is the better one. */
void aggregate_begin(struct aggregate *aggregate, uint64_t start_ns);

/* Applies events in time order. Returns how many could not be stored (counted as lost too). */
size_t aggregate_apply(struct aggregate *aggregate, const struct event *events, size_t n_events);

/* The run is over: whatever is still open ends at end_ns. */
void aggregate_end(struct aggregate *aggregate, uint64_t end_ns);

/*
 * The present as a snapshot; now_ns is how far the stream is known to be
 * complete (open phases count up to there). NULL when memory ran out.
 */
struct snapshot *aggregate_snapshot(struct aggregate *aggregate, uint64_t now_ns);
