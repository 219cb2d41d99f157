/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * server_start - a stax-server of one's own, when none runs
 *
 * Starts stax-server (beside stax, else from PATH) as the same user and lets
 * go of it: a session of its own, no terminal, no inherited descriptors, its
 * messages in a log file in the state directory.
 *
 * Owner:   the server belongs to nobody; `stax shutdown` ends it.
 * Threads: one; forks.
 * Tests:   server_start_test.c
 */

#include "base/error.h"
#include "rpc/client.h"

/*
 * Starts a server for this socket and waits until it answers. Another one that
 * is being started at the same time is as good. 0 or a negative errno.
 */
int server_start(const char *socket_path, struct rpc_client **ret_client,
                 struct error *reterr_error);
