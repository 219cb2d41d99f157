/* SPDX-License-Identifier: MIT */
#include "base/fd.h"
#include "base/log.h"
#include "server/access.h"
#include "server/call.h"
#include "server/handlers.h"
#include "server/server.h"

void handle_target_hello(struct call *call)
{
    struct server *server = call->server;
    struct target_hello_result *result = call->result;
    struct target_producer *producer = NULL;
    _cleanup_(fd_closep) int fd = connection_take_fd(call->connection);
    int64_t pid = access_get_peer_pid(connection_get_fd(call->connection));
    if (server->is_ending || !connection_is_open(call->connection)) {
        call_fail(call, "busy", "the server is ending");
        return;
    }
    if (pid <= 0) {
        call_fail(call, "not_supported", "this server does not see the process of the program");
        return;
    }
    int r = target_producers_add(&server->producers, call->connection, pid, call->params, fd,
                                 &producer, &call->error);
    if (r < 0) {
        log_warn("process %lld wants to report spans and was refused: %s", (long long)pid,
                 call->error.message);
        call_fail_as_set(call);
        return;
    }
    log_debug("process %lld is ready to report spans", (long long)pid);
    if (server->registry.active) {
        run_offer_producer(server->registry.active, producer);
    }
    result->version = TARGET_RING_VERSION;
    call_succeed(call);
}

void handlers_offer_producers(struct server *server, struct run *run)
{
    for (size_t i = 0; i < server->producers.n_entries; i++) {
        run_offer_producer(run, server->producers.entries[i].producer);
    }
}
