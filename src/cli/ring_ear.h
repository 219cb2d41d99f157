/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * ring_ear - tells what was frozen of a run, and has it frozen on request
 *
 * Has a connection and a thread of its own, so that whoever waits for the
 * target never waits for the server.
 *
 * Owner:   ring_ear_start()/ring_ear_free(); free() tells what is left to tell.
 * Threads: its own; ring_ear_freeze() may be called by any.
 * Tests:   tests/e2e/test_ring.py
 */

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "model/ids.h"

struct ring_ear;

/* 0 or a negative errno. Nothing is written where is_quiet. */
int ring_ear_start(const char *socket_path, run_id run, bool is_quiet, struct ring_ear **ret_ear,
                   struct error *reterr_error);
struct ring_ear *ring_ear_free(struct ring_ear *ear);
DEFINE_FREEP(ring_ear);

/* Asks for a freeze and returns at once. NULL: nobody listens. */
void ring_ear_freeze(struct ring_ear *ear);
