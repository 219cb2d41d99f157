/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * connection - one client's byte stream: lines in, documents out, both bounded
 *
 * Knows no JSON and no method. A client that asks faster than it is answered,
 * or does not read its answers, is simply not read from until it has caught
 * up, so that it can fill no memory but its own socket's.
 *
 * Owner:   counted: connection_ref(), connection_unref(). Open connections hold
 *          one reference for the loop.
 * Threads: the main loop.
 * Limits:  struct connection_limits. Lines that are too long end the
 *          connection, as does a backlog of answers without any progress.
 * Tests:   connection_test.c; tests/e2e
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/text.h"

struct connection;

struct connection_limits {
    size_t max_line_bytes;
    unsigned max_jobs;       /* requests being worked on; more are left unread */
    size_t max_queued_bytes; /* answers not yet taken; past it nothing more is read */
    uint64_t stall_ns;       /* past max_queued_bytes without progress for so long: dropped */
};

struct connection_handler {
    void *userdata;
    void (*on_line)(void *userdata, struct connection *connection, const char *line,
                    size_t n_bytes);
    /* A line was too long. What is sent now still goes out; then the connection ends. */
    void (*on_oversized)(void *userdata, struct connection *connection);
    /* Nothing waits to be sent any more. */
    void (*on_drained)(void *userdata, struct connection *connection);
    void (*on_closed)(void *userdata, struct connection *connection);
};

/* limits and handler are borrowed for the connection's life. 0 or a negative errno. */
int connection_new(uv_loop_t *loop, const struct connection_limits *limits,
                   const struct connection_handler *handler, struct connection **ret_connection);
struct connection *connection_ref(struct connection *connection);
struct connection *connection_unref(struct connection *connection); /* accepts NULL, returns NULL */

/* Takes the next caller of the listener, or a connected descriptor; reading begins with _start().
 */
int connection_accept(struct connection *connection, uv_stream_t *listener);
int connection_adopt(struct connection *connection, int take_fd);
int connection_start(struct connection *connection);
int connection_get_fd(const struct connection *connection);

/* The descriptor that the client has sent along (SCM_RIGHTS) with the line that is being handled:
 * the caller's from now on; -1: none. One that no line takes is closed, as are all but the first.
 */
int connection_take_fd(struct connection *connection);

/*
 * A request is being worked on (job), or something else keeps the connection
 * open after the client has sent its last byte (hold: a wait, a subscription).
 * Each begin has its end, also after the connection is closed.
 */
void connection_job_begin(struct connection *connection);
void connection_job_end(struct connection *connection);
void connection_hold_begin(struct connection *connection);
void connection_hold_end(struct connection *connection);

/* Queues the text's bytes and leaves it empty. Dropped when the connection is closed. */
void connection_send(struct connection *connection, struct text *text);
bool connection_is_open(const struct connection *connection);

/* Open, and the client has not hung up; closes it when it has. Half-closed is present. */
bool connection_is_present(struct connection *connection);
size_t connection_queued_bytes(const struct connection *connection);

/* As if the client had sent its last byte; what is not yet begun is dropped. */
void connection_end_input(struct connection *connection);

/* Ends it when everything queued has been taken, jobs or not; reads nothing more. */
void connection_finish(struct connection *connection);
void connection_close(struct connection *connection);

/* To be called every second or so: ends what has stalled or vanished. */
void connection_check(struct connection *connection, uint64_t now_ns);

/* For whoever handles it: an object per connection. */
void connection_set_peer(struct connection *connection, void *peer);
void *connection_get_peer(const struct connection *connection);
