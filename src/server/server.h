/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * server - everything that stax-server holds together, and its end
 *
 * Owner:   server_new()/_free(); one per process.
 * Threads: the main loop, which never blocks and never computes a view: that
 *          happens in libuv's pool (call.h), recording on two threads per run.
 * Limits:  SERVER_MAX_CONNECTIONS.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "server/access.h"
#include "server/connection.h"
#include "server/job_queue.h"
#include "server/run_registry.h"
#include "server/target_producer.h"
#include "symbols/symbolizer.h"
#include "unwind/cfi_store.h"

#define SERVER_MAX_CONNECTIONS 256u
#define SERVER_MAX_JOBS 8u /* of one connection, so that none keeps the pool to itself */
#define SERVER_MAX_WAITS 64u
#define SERVER_MAX_SUBSCRIPTIONS 16u
#define SERVER_MAX_QUEUED_BYTES ((size_t)8 << 20)
#define SERVER_STALL_NS UINT64_C(30000000000)

struct call;
struct ring_watch;
struct wait;

struct server_config {
    const char *socket_path; /* borrowed */
    bool allow_replay;
};

struct server {
    uv_loop_t loop;
    struct access access;
    bool allow_replay;
    uint64_t started_at_unix_ns, started_at_ns;

    uv_pipe_t listener;
    uv_async_t run_changed;
    uv_timer_t housekeeping; /* runs while there are connections */
    uv_timer_t wait_timer;   /* runs while somebody waits */
    uv_timer_t ring_timer;   /* runs while a flight recorder has triggers */
    uv_timer_t end_timer;
    uv_signal_t signals[3];
    struct connection_limits limits;
    struct connection_handler handler;
    struct connection *connections[SERVER_MAX_CONNECTIONS];
    size_t n_connections;
    size_t n_calls; /* not yet settled */
    struct job_queue jobs;
    atomic_uint n_saves; /* at work, on threads of the queue */

    struct run_registry registry;
    struct target_producers producers;
    struct symbolizer *symbolizer; /* made with the first run */
    struct cfi_store *cfi_store;   /* likewise */
    struct call *start_call;       /* waits for the starting run */
    struct call *open_call;        /* waits until the active run, an import, is read */
    struct call *stop_calls;       /* wait for the active run's end */
    struct wait *waits;
    struct ring_watch *ring_watch; /* of the active run; NULL: it has no triggers */
    bool is_ending;
    uint64_t ending_since_ms;
    struct call *end_calls; /* server.shutdown */
};

/* Listens when it returns 0. */
int server_new(const struct server_config *config, struct server **ret_server,
               struct error *reterr_error);

/* Until server_end(). */
void server_run(struct server *server);
struct server *server_free(struct server *server);
DEFINE_FREEP(server);

/* Ends the active run, answers what is owed, lets everybody go. */
void server_end(struct server *server);

/* For run_config.on_change: called by threads of the run; userdata is the server. */
void server_on_run_change(void *userdata);

/* The symbolizer, made when it is first needed; NULL when memory ran out. */
struct symbolizer *server_get_symbolizer(struct server *server);
/* Likewise for unwind tables. */
struct cfi_store *server_get_cfi_store(struct server *server);
