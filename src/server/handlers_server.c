/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "model/limits.h"
#include "model/requests.h"
#include "rpc/service.h"
#include "server/handlers.h"
#include "server/run_choice.h"
#include "server/run_diagnose.h"
#include "server/server.h"
#include "server/subscription.h"

void handle_server_info(struct call *call)
{
    struct server *server = call->server;
    struct server_info *result = call->result;
    *result = (struct server_info){
        .name = "stax-server",
        .version = STAX_VERSION,
        .protocol = RPC_PROTOCOL_VERSION,
        .pid = getpid(),
        .started_at_unix_ns = server->started_at_unix_ns,
        .uptime_ns = clock_now_ns() - server->started_at_ns,
        .socket = server->access.path,
        .max_request_bytes = LIMIT_REQUEST_BYTES,
        .max_nesting = LIMIT_REQUEST_NESTING,
    };
    call_succeed(call);
}

static int work_diagnostics(struct call *call)
{
    return run_diagnose(call->run, NULL, &call->arena, call->result);
}

void handle_server_diagnostics(struct call *call)
{
    const struct diagnose_request *request = call->params;
    if (run_choice_for_query(call, request->run)) {
        call_work(call, work_diagnostics);
    }
}

void handle_server_shutdown(struct call *call)
{
    struct server *server = call->server;
    call->next = server->end_calls;
    server->end_calls = call;
    server_end(server);
}

void handle_rpc_discover(struct call *call)
{
    call_succeed_with_json(call, rpc_discover_json, rpc_discover_json_bytes);
}

void handle_subscribe(struct call *call)
{
    struct subscription *result = call->result;
    struct subscription_set *set = connection_get_peer(call->connection);
    if (!set) {
        call_fail(call, "busy", "the server is ending");
        return;
    }
    int64_t number = subscription_set_add(set, call->params, &call->error);
    if (number < 0) {
        call_fail_as_set(call);
        return;
    }
    result->subscription = (uint64_t)number;
    call_succeed(call);
}

void handle_unsubscribe(struct call *call)
{
    const struct subscription *request = call->params;
    struct subscription_set *set = connection_get_peer(call->connection);
    if (!set || !subscription_set_remove(set, request->subscription)) {
        call_fail(call, "unknown_subscription", "this connection has no subscription %llu",
                  (unsigned long long)request->subscription);
        return;
    }
    call_succeed(call);
}
