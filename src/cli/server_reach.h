/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * server_reach - a stax-server, started where none runs
 *
 * Owner:   the caller frees the client.
 * Threads: one; may fork.
 * Tests:   tests/e2e/test_server.py, tests/e2e/test_archive.py
 */

#include <stdbool.h>

#include "cli/server_options.h"

/* `no_autostart`, or STAX_AUTOSTART=0: fail where none runs. 0 or a negative errno. */
int server_reach(const struct server_options *options, bool no_autostart,
                 struct rpc_client **ret_client, struct error *reterr_error);

/* Has the environment variable the value "0"? */
bool server_reach_is_off(const char *variable);
