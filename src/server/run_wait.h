/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_wait - run.wait: answers when a condition holds, the run stops or time is up
 *
 * Owner:   the server's list owns the waits; each owns its call.
 * Threads: the main loop looks every RUN_WAIT_TICK_MS while somebody waits;
 *          names are searched in the pool.
 * Limits:  SERVER_MAX_WAITS per connection.
 * Tests:   tests/e2e
 */

#include "server/call.h"

#define RUN_WAIT_TICK_MS 20u

/* Takes over the call, whose run is set and whose params are a wait_request. */
void run_wait_add(struct call *call);

/* Something changed: look now. */
void run_wait_check(struct server *server);
