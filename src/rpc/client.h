/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * client - the asking side of the RPC
 *
 * Owner:   rpc_client_connect()/rpc_client_free().
 * Threads: one; calls block.
 * Source:  docs/PROTOCOL.rpc.md
 * Tests:   client_test.c
 */

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "rpc/fields.h"

struct rpc_client;

/*
 * Connects and checks that the peer is the same user. 0; -ENOENT or
 * -ECONNREFUSED (code "no_server"): nobody listens; -EPERM (code "permission"):
 * somebody else's socket; another negative errno.
 */
int rpc_client_connect(const char *socket_path, struct rpc_client **ret_client,
                       struct error *reterr_error);
struct rpc_client *rpc_client_free(struct rpc_client *client);
DEFINE_FREEP(rpc_client);
int rpc_client_fd(const struct rpc_client *client);

/*
 * Calls `method` and waits for its answer.
 *
 *   params_type, params   NULL: no parameters
 *   result_type, result   NULL: the result is not decoded
 *   ret_json              NULL, or receives the result member as JSON text (free())
 *
 * Signals do not end the wait. Returns 0; -EREMOTEIO with the server's error in reterr_error;
 * -EPIPE when the server went away; -EBADMSG when it talks nonsense.
 */
int rpc_client_call(struct rpc_client *client, const char *method,
                    const struct rpc_type *params_type, const void *params,
                    const struct rpc_type *result_type, void *result, struct arena *arena,
                    char **ret_json, struct error *reterr_error);

/*
 * Waits at most timeout_ms for an `update` notification of a subscription.
 * -ETIMEDOUT when none came, also early when a signal interrupted the wait, so
 * that the caller can look at what its handler noted. Updates that arrive
 * during rpc_client_call() are kept for this, the newest 16.
 */
int rpc_client_next_update(struct rpc_client *client, int timeout_ms,
                           const struct rpc_type *result_type, void *result, struct arena *arena,
                           uint64_t *ret_subscription, struct error *reterr_error);
