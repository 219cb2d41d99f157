/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * ring_watch - looks at the active run for what --on asks for, and freezes it
 *
 * Every RING_WATCH_MS a job in the pool takes a snapshot, looks (ring_triggers.h)
 * and, where there is a hit, freezes from a ring's length before the wait until
 * now. One freeze per length of the ring, unless the wait began after the end of
 * the one before.
 *
 * Owner:   the server's; it ends itself one look after the run has.
 * Threads: the main loop; looks are taken in the pool.
 * Limits:  of what is frozen: run_freeze.h.
 * Tests:   tests/e2e/test_ring.py, ring_triggers_test.c
 */

#include <stdbool.h>

#include "base/error.h"

#define RING_WATCH_MS 200u

struct run;
struct server;

/* For a run that is about to start; nothing where it has no triggers. 0, -EINVAL or -ENOMEM. */
int ring_watch_begin(struct server *server, struct run *run, struct error *reterr_error);

/* The run has come to another phase. */
void ring_watch_on_change(struct server *server);

/* A last look at the run is still to come: it may freeze. */
bool ring_watch_is_at(const struct server *server, const struct run *run);

/* Once the main loop has ended. */
void ring_watch_release(struct server *server);
