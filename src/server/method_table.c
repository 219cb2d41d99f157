/* SPDX-License-Identifier: MIT */
#include "server/method_table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "model/limits.h"
#include "rpc/message.h"
#include "server/handlers.h"
#include "server/server.h"

static const struct method_entry entries[] = {
    {.name = "profile.annotate", .handler = handle_profile_annotate},
    {.name = "profile.counters", .handler = handle_profile_counters},
    {.name = "profile.flame", .handler = handle_profile_flame},
    {.name = "profile.intervals", .handler = handle_profile_intervals},
    {.name = "profile.neighbors", .handler = handle_profile_neighbors},
    {.name = "profile.offCpu", .handler = handle_profile_off_cpu},
    {.name = "profile.targetLanes", .handler = handle_profile_target_lanes},
    {.name = "profile.targetOrigins", .handler = handle_profile_target_origins},
    {.name = "profile.targetSpans", .handler = handle_profile_target_spans},
    {.name = "profile.targetTop", .handler = handle_profile_target_top},
    {.name = "profile.threads", .handler = handle_profile_threads},
    {.name = "profile.timeline", .handler = handle_profile_timeline},
    {.name = "profile.top", .handler = handle_profile_top},
    {.name = "profile.wakers", .handler = handle_profile_wakers},
    {.name = "profile.why", .handler = handle_profile_why},
    {.name = "rpc.discover", .handler = handle_rpc_discover},
    {.name = "run.compare", .handler = handle_run_compare},
    {.name = "run.export", .handler = handle_run_export},
    {.name = "run.freeze", .handler = handle_run_freeze},
    {.name = "run.list", .handler = handle_run_list},
    {.name = "run.open", .handler = handle_run_open},
    {.name = "run.reportExit", .handler = handle_run_report_exit},
    {.name = "run.save", .handler = handle_run_save},
    {.name = "run.select", .handler = handle_run_select},
    {.name = "run.start", .handler = handle_run_start},
    {.name = "run.status", .handler = handle_run_status},
    {.name = "run.stop", .handler = handle_run_stop},
    {.name = "run.wait", .handler = handle_run_wait, .is_long = true},
    {.name = "server.diagnostics", .handler = handle_server_diagnostics},
    {.name = "server.doctor", .handler = handle_server_doctor},
    {.name = "server.info", .handler = handle_server_info},
    {.name = "server.shutdown", .handler = handle_server_shutdown, .is_long = true},
    {.name = "subscribe", .handler = handle_subscribe},
    {.name = "target.hello", .handler = handle_target_hello},
    {.name = "unsubscribe", .handler = handle_unsubscribe},
};

const struct method_entry *method_table_find(const char *name)
{
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        if (strcmp(entries[i].name, name) == 0) {
            return &entries[i];
        }
    }
    return NULL;
}

/* A client's call is answered, unless it was a notification, and leaves its connection. */
static void answer_client(struct call *call)
{
    struct connection *connection = connection_ref(call->connection);
    bool is_hold = call->is_hold;
    if (!call->is_notification) {
        connection_send(connection, &call->answer);
    }
    call_free(call);
    if (is_hold) {
        connection_hold_end(connection);
    } else {
        connection_job_end(connection);
    }
    connection_unref(connection);
}

/* What cannot become a call is answered directly. */
static void refuse(struct connection *connection, const struct jsonrpc_request *request,
                   const struct error *error)
{
    if (!request->is_notification) {
        struct text text;
        text_init(&text, CALL_ANSWER_BYTES);
        message_error(&text, request->id, error);
        connection_send(connection, &text);
        text_release(&text);
    }
}

static int decode_params(struct call *call, const struct jsonrpc_request *request)
{
    const struct rpc_method *method = call->method;
    if (!method->params) {
        return 0;
    }
    void *params = arena_alloc(&call->arena, method->params_bytes);
    if (!params) {
        error_set(&call->error, "limit", "out of memory");
        return -ENOMEM;
    }
    call->params = params;
    return rpc_decode(method->params, request->params, &call->arena, params, &call->error);
}

static void dispatch(struct server *server, struct connection *connection,
                     const struct jsonrpc_request *request)
{
    struct error error;
    const struct method_entry *entry = method_table_find(request->method);
    const struct rpc_method *method = entry ? rpc_method_find(request->method) : NULL;
    struct call *call = NULL;
    if (!method) {
        error_set(&error, "not_found", "there is no method \"%s\"", request->method);
        error_hint(&error, "rpc.discover lists them");
        refuse(connection, request, &error);
        return;
    }
    if (call_new(server, connection, method, &call) < 0) {
        error_set(&error, "limit", "out of memory");
        refuse(connection, request, &error);
        return;
    }
    call->on_settled = answer_client;
    call->is_notification = request->is_notification;
    snprintf(call->id, sizeof(call->id), "%s", request->id);
    call->is_hold = entry->is_long;
    if (call->is_hold) {
        connection_hold_begin(connection);
    } else {
        connection_job_begin(connection);
    }
    if (decode_params(call, request) < 0) {
        call_fail_as_set(call);
        return;
    }
    entry->handler(call);
}

void method_dispatch(struct server *server, struct connection *connection, const char *line,
                     size_t n_bytes)
{
    const struct json_limits limits = {
        .max_bytes = LIMIT_REQUEST_BYTES,
        .max_nesting = LIMIT_REQUEST_NESTING,
    };
    _cleanup_(jsonrpc_request_releasep) struct jsonrpc_request request = {.document = NULL};
    struct error error = {.code = ""};
    int r = jsonrpc_request_parse(line, n_bytes, &limits, &request, &error);
    if (r < 0) {
        refuse(connection, &request, &error);
        return;
    }
    dispatch(server, connection, &request);
}
