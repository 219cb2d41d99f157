/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * snapshot_desk - where queries ask a run's aggregator thread for the present
 *
 * Everybody who waits when the aggregator comes by gets the same snapshot,
 * which it takes then. When the run is over the desk closes with the final
 * snapshot, and nobody waits again.
 *
 * Owner:   the caller holds the struct. Snapshots are counted: each that is
 *          handed out is the asker's to unref.
 * Threads: ask: any, blocks until served. has_askers, serve, close: the aggregator.
 * Tests:   snapshot_desk_test.c
 */

#include <stdatomic.h>
#include <stdbool.h>

#include "aggregate/snapshot.h"
#include "base/cleanup.h"

struct snapshot_asker;

struct snapshot_desk {
    _Atomic(struct snapshot_asker *) askers;
    struct snapshot *final; /* set before the desk closes */
};

void snapshot_desk_init(struct snapshot_desk *desk);

/* Nobody may be asking any more. */
void snapshot_desk_release(struct snapshot_desk *desk);
DEFINE_RELEASEP(snapshot_desk);

/*
 * A snapshot taken after this call, or the final one. `wake` is called once the
 * question is on the desk, if it is needed. NULL when memory ran out.
 */
struct snapshot *snapshot_desk_ask(struct snapshot_desk *desk, void (*wake)(void *userdata),
                                   void *userdata);

bool snapshot_desk_has_askers(struct snapshot_desk *desk);

/* Answers all who have asked so far; `snapshot` (may be NULL) stays the caller's. */
void snapshot_desk_serve(struct snapshot_desk *desk, struct snapshot *snapshot);

/* Answers all, now and from now on. */
void snapshot_desk_close(struct snapshot_desk *desk, struct snapshot *take_final);
