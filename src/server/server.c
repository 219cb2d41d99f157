/* SPDX-License-Identifier: MIT */
/*
 * Ending goes in steps, each begun by the end of the one before: no new
 * callers → the active run stops → waits and stops are answered, then the
 * callers of server.shutdown → every connection is closed once it has been
 * sent what it is owed → the loop has no handles left and returns.
 */
#include "server/server.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "model/limits.h"
#include "rpc/message.h"
#include "server/call.h"
#include "server/capture_choice.h"
#include "server/handlers.h"
#include "server/method_table.h"
#include "server/ring_watch.h"
#include "server/subscription.h"

#define HOUSEKEEPING_MS 1000
#define END_PATIENCE_MS 3000

static void on_line(void *userdata, struct connection *connection, const char *line, size_t n_bytes)
{
    method_dispatch(userdata, connection, line, n_bytes);
}

static void send_error(struct connection *connection, const char *code, const char *message)
{
    struct error error;
    struct text text;
    error_set(&error, code, "%s", message);
    text_init(&text, 4096);
    message_error(&text, "null", &error);
    connection_send(connection, &text);
    text_release(&text);
}

static void on_oversized(void *userdata, struct connection *connection)
{
    (void)userdata;
    send_error(connection, "parse_error", "the request is longer than 1 MiB");
}

static void on_drained(void *userdata, struct connection *connection)
{
    struct subscription_set *set = connection_get_peer(connection);
    (void)userdata;
    if (set) {
        subscription_set_on_drained(set);
    }
}

static void on_connection_closed(void *userdata, struct connection *connection)
{
    struct server *server = userdata;
    subscription_set_free(connection_get_peer(connection));
    connection_set_peer(connection, NULL);
    target_producers_remove(&server->producers, connection);
    for (size_t i = 0; i < server->n_connections; i++) {
        if (server->connections[i] == connection) {
            server->connections[i] = server->connections[--server->n_connections];
            connection_unref(connection);
            break;
        }
    }
    if (server->n_connections == 0) {
        uv_timer_stop(&server->housekeeping);
    }
}

static void on_housekeeping(uv_timer_t *timer)
{
    struct server *server = timer->data;
    uint64_t now_ns = uv_hrtime();
    for (size_t i = 0; i < server->n_connections; i++) {
        connection_check(server->connections[i], now_ns);
    }
}

/* Why this caller may not talk to us; NULL: it may. */
static const char *refusal(const struct server *server, struct connection *connection)
{
    if (access_check_peer(connection_get_fd(connection)) < 0) {
        log_warn("a caller of another user was refused");
        return "this stax-server belongs to another user";
    }
    if (server->n_connections > SERVER_MAX_CONNECTIONS - 1) {
        return "too many connections";
    }
    return NULL;
}

static void on_caller(uv_stream_t *listener, int status)
{
    struct server *server = listener->data;
    struct connection *connection = NULL;
    if (status < 0 ||
        connection_new(&server->loop, &server->limits, &server->handler, &connection) < 0) {
        return;
    }
    if (connection_accept(connection, listener) < 0) {
        connection_close(connection);
        connection_unref(connection);
        return;
    }
    const char *why_not = refusal(server, connection);
    if (why_not) {
        send_error(connection, "limit", why_not);
        connection_close(connection);
        connection_unref(connection);
        return;
    }
    server->connections[server->n_connections++] = connection;
    connection_set_peer(connection, subscription_set_new(server, connection));
    if (server->n_connections == 1) {
        uv_timer_start(&server->housekeeping, on_housekeeping, HOUSEKEEPING_MS, HOUSEKEEPING_MS);
    }
    connection_start(connection);
}

static void close_handle(void *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

/* Every handle that is left is the server's own: without them the loop ends. */
static void close_handles(struct server *server)
{
    close_handle(&server->run_changed);
    close_handle(&server->housekeeping);
    close_handle(&server->wait_timer);
    close_handle(&server->ring_timer);
    close_handle(&server->end_timer);
    for (size_t i = 0; i < sizeof(server->signals) / sizeof(server->signals[0]); i++) {
        close_handle(&server->signals[i]);
    }
}

static void close_connections(struct server *server)
{
    for (size_t i = 0; i < server->n_connections; i++) {
        connection_close(server->connections[i]);
    }
}

static void on_end_tick(uv_timer_t *timer)
{
    struct server *server = timer->data;
    if (uv_now(&server->loop) - server->ending_since_ms > END_PATIENCE_MS) {
        close_connections(server);
    }
    if (server->registry.active || server->waits) {
        return;
    }
    for (size_t i = 0; i < server->n_connections; i++) {
        connection_end_input(server->connections[i]);
    }
    if (server->n_connections == 0 && server->n_calls == 0) {
        close_handles(server);
    }
}

/* Nothing is recorded any more: who asked for the end is told that it has come. */
static void answer_end_calls(struct server *server)
{
    struct call *call = TAKE_PTR(server->end_calls);
    while (call) {
        struct call *next = TAKE_PTR(call->next);
        call_succeed(call);
        call = next;
    }
}

static void on_run_changed(uv_async_t *async)
{
    struct server *server = async->data;
    handlers_run_on_change(server);
    for (size_t i = 0; i < server->n_connections; i++) {
        struct subscription_set *set = connection_get_peer(server->connections[i]);
        if (set) {
            subscription_set_on_change(set);
        }
    }
    if (server->is_ending && !server->registry.active) {
        answer_end_calls(server);
    }
}

void server_end(struct server *server)
{
    if (!server->is_ending) {
        server->is_ending = true;
        log_info("ending");
        close_handle(&server->listener);
        access_release(&server->access);
        for (size_t i = 0; i < server->n_connections; i++) {
            struct connection *connection = server->connections[i];
            subscription_set_free(connection_get_peer(connection));
            connection_set_peer(connection, NULL);
        }
        server->ending_since_ms = uv_now(&server->loop);
        server->end_timer.data = server;
        uv_timer_start(&server->end_timer, on_end_tick, 0, 10);
        if (server->registry.active) {
            run_stop(server->registry.active, RUN_END_SERVER_SHUTDOWN);
        }
    }
    if (!server->registry.active) {
        answer_end_calls(server);
    }
}

static void on_signal(uv_signal_t *signal, int number)
{
    log_info("%s", strsignal(number));
    server_end(signal->data);
}

/* A terminal that goes away is no reason to stop recording. */
static void on_hangup(uv_signal_t *signal, int number)
{
    (void)signal;
    (void)number;
}

static int watch_signals(struct server *server)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit of file sizes fails a save, not the server */
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        server->signals[i].data = server;
        int r = uv_signal_init(&server->loop, &server->signals[i]);
        if (r < 0) {
            return r;
        }
        r = uv_signal_start(&server->signals[i], numbers[i] == SIGHUP ? on_hangup : on_signal,
                            numbers[i]);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int start_listening(struct server *server)
{
    server->listener.data = server;
    int r = uv_pipe_init(&server->loop, &server->listener, 0);
    if (r < 0) {
        return r;
    }
    r = uv_pipe_open(&server->listener, server->access.fd);
    if (r < 0) {
        return r;
    }
    server->access.fd = -1; /* the handle's */
    return uv_listen((uv_stream_t *)&server->listener, 128, on_caller);
}

static int make_handles(struct server *server)
{
    int r = uv_async_init(&server->loop, &server->run_changed, on_run_changed);
    if (r < 0) {
        return r;
    }
    server->run_changed.data = server;
    server->housekeeping.data = server;
    uv_timer_init(&server->loop, &server->housekeeping);
    uv_timer_init(&server->loop, &server->wait_timer);
    uv_timer_init(&server->loop, &server->ring_timer);
    uv_timer_init(&server->loop, &server->end_timer);
    r = watch_signals(server);
    if (r == 0 && capture_choice_host()->prepare) {
        capture_choice_host()->prepare();
    }
    return r < 0 ? r : start_listening(server);
}

int server_new(const struct server_config *config, struct server **ret_server,
               struct error *reterr_error)
{
    struct server *server = calloc(1, sizeof(*server));
    if (!server) {
        error_set_errno(reterr_error, -ENOMEM, "starting");
        return -ENOMEM;
    }
    server->access = (struct access){.fd = -1, .lock_fd = -1};
    server->allow_replay = config->allow_replay;
    server->started_at_ns = clock_now_ns();
    server->started_at_unix_ns = clock_now_unix_ns();
    server->limits = (struct connection_limits){
        .max_line_bytes = LIMIT_REQUEST_BYTES,
        .max_jobs = SERVER_MAX_JOBS,
        .max_queued_bytes = SERVER_MAX_QUEUED_BYTES,
        .stall_ns = SERVER_STALL_NS,
    };
    server->handler = (struct connection_handler){
        .userdata = server,
        .on_line = on_line,
        .on_oversized = on_oversized,
        .on_drained = on_drained,
        .on_closed = on_connection_closed,
    };
    run_registry_init(&server->registry);
    target_producers_init(&server->producers);
    int r = access_open(config->socket_path, &server->access, reterr_error);
    if (r < 0) {
        free(server);
        return r;
    }
    r = uv_loop_init(&server->loop);
    job_queue_init(&server->jobs, &server->loop);
    if (r == 0) {
        r = make_handles(server);
    }
    if (r < 0) {
        /* Only a machine without memory or descriptors gets here; the process ends with it. */
        error_set_errno(reterr_error, r, "starting the event loop");
        access_release(&server->access);
        return r;
    }
    *ret_server = server;
    return 0;
}

void server_run(struct server *server)
{
    uv_run(&server->loop, UV_RUN_DEFAULT);
}

struct server *server_free(struct server *server)
{
    if (server) {
        ring_watch_release(server);
        run_registry_release(&server->registry);
        target_producers_release(&server->producers);
        if (capture_choice_host()->unprepare) {
            capture_choice_host()->unprepare();
        }
        symbolizer_free(server->symbolizer);
        cfi_store_free(server->cfi_store);
        access_release(&server->access);
        uv_loop_close(&server->loop);
        free(server);
    }
    return NULL;
}

void server_on_run_change(void *userdata)
{
    struct server *server = userdata;
    uv_async_send(&server->run_changed);
}

struct symbolizer *server_get_symbolizer(struct server *server)
{
    if (!server->symbolizer && symbolizer_new(&server->symbolizer) < 0) {
        return NULL;
    }
    return server->symbolizer;
}

struct cfi_store *server_get_cfi_store(struct server *server)
{
    if (!server->cfi_store && cfi_store_new(&server->cfi_store) < 0) {
        return NULL;
    }
    return server->cfi_store;
}
