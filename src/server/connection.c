/* SPDX-License-Identifier: MIT */
#include "server/connection.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "jsonrpc/frame.h"

#define CHUNK_BYTES (32u << 10)

struct connection {
    uv_pipe_t pipe;
    unsigned n_refs;
    const struct connection_limits *limits;
    const struct connection_handler *handler;
    void *peer;
    struct frame_buffer frame;
    unsigned n_jobs, n_holds;
    bool is_open;      /* neither closed nor closing */
    bool is_eof;       /* the client has sent its last byte */
    bool is_finishing; /* ends when everything queued has been taken */
    bool is_reading;
    bool is_taking_lines; /* lines are being handled further up the stack */
    uint64_t sent_bytes;  /* ever queued */
    uint64_t taken_bytes; /* by the client, at the last look */
    uint64_t progress_at_ns;
    int passed_fd; /* came with what is being read; -1: none did */
    char chunk[CHUNK_BYTES];
};

struct outgoing {
    uv_write_t request;
    struct connection *connection;
    char *data;
};

static void take_lines(struct connection *connection);

int connection_new(uv_loop_t *loop, const struct connection_limits *limits,
                   const struct connection_handler *handler, struct connection **ret_connection)
{
    struct connection *connection = malloc(sizeof(*connection));
    if (!connection) {
        return -ENOMEM;
    }
    *connection =
        (struct connection){.n_refs = 1, .limits = limits, .handler = handler, .passed_fd = -1};
    /* ipc: descriptors may come along, see connection_take_fd(). */
    int r = uv_pipe_init(loop, &connection->pipe, 1);
    if (r < 0) {
        free(connection);
        return r;
    }
    connection->is_open = true;
    connection->pipe.data = connection_ref(connection); /* the loop's */
    frame_buffer_init(&connection->frame, limits->max_line_bytes);
    *ret_connection = connection;
    return 0;
}

struct connection *connection_ref(struct connection *connection)
{
    connection->n_refs++;
    return connection;
}

struct connection *connection_unref(struct connection *connection)
{
    if (connection && --connection->n_refs == 0) {
        assert(!connection->is_open);
        frame_buffer_release(&connection->frame);
        fd_close(connection->passed_fd);
        free(connection);
    }
    return NULL;
}

static void on_pipe_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    connection->handler->on_closed(connection->handler->userdata, connection);
    connection_unref(connection);
}

void connection_close(struct connection *connection)
{
    if (connection->is_open) {
        connection->is_open = false;
        connection->is_reading = false;
        uv_close((uv_handle_t *)&connection->pipe, on_pipe_closed);
    }
}

int connection_accept(struct connection *connection, uv_stream_t *listener)
{
    return uv_accept(listener, (uv_stream_t *)&connection->pipe);
}

int connection_adopt(struct connection *connection, int take_fd)
{
    return uv_pipe_open(&connection->pipe, take_fd);
}

int connection_get_fd(const struct connection *connection)
{
    uv_os_fd_t fd = -1;
    return uv_fileno((const uv_handle_t *)&connection->pipe, &fd) == 0 ? fd : -1;
}

bool connection_is_open(const struct connection *connection)
{
    return connection->is_open;
}

size_t connection_queued_bytes(const struct connection *connection)
{
    return uv_stream_get_write_queue_size((const uv_stream_t *)&connection->pipe);
}

static bool must_pause(const struct connection *connection)
{
    return connection->n_jobs >= connection->limits->max_jobs ||
           connection_queued_bytes(connection) > connection->limits->max_queued_bytes;
}

/* Nothing can come any more, and nothing is owed. */
static void close_if_done(struct connection *connection)
{
    bool is_owed = connection_queued_bytes(connection) > 0 ||
                   (!connection->is_finishing && (connection->n_jobs + connection->n_holds) > 0);
    if (connection->is_open && !is_owed && (connection->is_eof || connection->is_finishing) &&
        !connection->is_taking_lines) {
        connection_close(connection);
    }
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

/*
 * libuv keeps descriptors that come along until they are asked for, and gives
 * them away only as pipes, whatever they are: each becomes one that is closed at
 * once, and the first of them is duplicated before.
 */
static void take_passed_fds(struct connection *connection)
{
    while (uv_pipe_pending_count(&connection->pipe) > 0) {
        uv_os_fd_t fd = -1;
        uv_pipe_t *carrier = malloc(sizeof(*carrier));
        if (!carrier || uv_pipe_init(connection->pipe.loop, carrier, 0) < 0) {
            free(carrier);
            connection_close(connection); /* what it holds goes with it */
            return;
        }
        if (uv_accept((uv_stream_t *)&connection->pipe, (uv_stream_t *)carrier) == 0 &&
            uv_fileno((uv_handle_t *)carrier, &fd) == 0 && connection->passed_fd < 0) {
            connection->passed_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        }
        uv_close((uv_handle_t *)carrier, free_handle);
    }
}

int connection_take_fd(struct connection *connection)
{
    return TAKE_FD(connection->passed_fd);
}

static void on_allocate(uv_handle_t *handle, size_t suggested_bytes, uv_buf_t *ret_buffer)
{
    struct connection *connection = handle->data;
    size_t room = frame_buffer_room(&connection->frame);
    (void)suggested_bytes;
    *ret_buffer =
        uv_buf_init(connection->chunk, (unsigned)(room < CHUNK_BYTES ? room : CHUNK_BYTES));
}

static void on_read(uv_stream_t *stream, ssize_t n_read, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;
    take_passed_fds(connection);
    if (n_read == 0 || !connection->is_open) {
        return;
    }
    if (n_read > 0) {
        if (frame_buffer_feed(&connection->frame, buffer->base, (size_t)n_read) < 0) {
            connection_close(connection);
            return;
        }
    } else if (n_read == UV_EOF) {
        /* A last document without its newline is one all the same. */
        connection->is_eof = true;
        if (frame_buffer_is_partial(&connection->frame)) {
            (void)frame_buffer_feed(&connection->frame, "\n", 1);
        }
    } else {
        connection_close(connection);
        return;
    }
    take_lines(connection);
}

static void set_reading(struct connection *connection, bool is_wanted)
{
    if (is_wanted == connection->is_reading) {
        return;
    }
    connection->is_reading = is_wanted;
    if (!is_wanted) {
        uv_read_stop((uv_stream_t *)&connection->pipe);
    } else if (uv_read_start((uv_stream_t *)&connection->pipe, on_allocate, on_read) < 0) {
        connection_close(connection);
    }
}

/* Handles what has arrived as far as the limits allow, then reads on or not. */
static void take_lines(struct connection *connection)
{
    const struct connection_handler *handler = connection->handler;
    const char *line;
    size_t n_bytes;
    if (connection->is_taking_lines || !connection->is_open) {
        return;
    }
    connection->is_taking_lines = true;
    connection_ref(connection);
    while (connection->is_open && !connection->is_finishing && !must_pause(connection)) {
        int r = frame_buffer_next(&connection->frame, &line, &n_bytes);
        if (r == 0) {
            if (!frame_buffer_is_partial(&connection->frame)) {
                connection->passed_fd = fd_close(connection->passed_fd);
            }
            break;
        }
        if (r < 0) {
            handler->on_oversized(handler->userdata, connection);
            connection_finish(connection);
            break;
        }
        handler->on_line(handler->userdata, connection, line, n_bytes);
    }
    connection->is_taking_lines = false;
    if (connection->is_open) {
        set_reading(connection,
                    !connection->is_eof && !connection->is_finishing && !must_pause(connection));
        /* With lines left over, the jobs that pause us are owed answers, so this does not close. */
        close_if_done(connection);
    }
    connection_unref(connection);
}

int connection_start(struct connection *connection)
{
    connection->progress_at_ns = uv_hrtime();
    take_lines(connection);
    return connection->is_open ? 0 : -EIO;
}

void connection_job_begin(struct connection *connection)
{
    connection->n_jobs++;
}

void connection_job_end(struct connection *connection)
{
    assert(connection->n_jobs > 0);
    connection->n_jobs--;
    take_lines(connection);
}

void connection_hold_begin(struct connection *connection)
{
    connection->n_holds++;
}

void connection_hold_end(struct connection *connection)
{
    assert(connection->n_holds > 0);
    connection->n_holds--;
    close_if_done(connection);
}

static void on_written(uv_write_t *request, int status)
{
    struct outgoing *outgoing = request->data;
    struct connection *connection = outgoing->connection;
    free(outgoing->data);
    free(outgoing);
    if (status < 0) {
        connection_close(connection);
    } else if (connection->is_open && connection_queued_bytes(connection) == 0) {
        connection->handler->on_drained(connection->handler->userdata, connection);
        take_lines(connection);
    } else if (!must_pause(connection)) {
        take_lines(connection);
    }
    connection_unref(connection);
}

void connection_send(struct connection *connection, struct text *text)
{
    size_t n_bytes = text->length_bytes;
    struct outgoing *outgoing = connection->is_open ? malloc(sizeof(*outgoing)) : NULL;
    char *data = outgoing ? text_take(text) : NULL;
    text_clear(text);
    if (!data) {
        free(outgoing);
        connection_close(connection);
        return;
    }
    *outgoing = (struct outgoing){.data = data, .connection = connection_ref(connection)};
    outgoing->request.data = outgoing;
    connection->sent_bytes += n_bytes;
    uv_buf_t buffer = uv_buf_init(data, (unsigned)n_bytes);
    int r = uv_write(&outgoing->request, (uv_stream_t *)&connection->pipe, &buffer, 1, on_written);
    if (r < 0) {
        free(data);
        free(outgoing);
        connection_close(connection);
        connection_unref(connection);
    }
}

void connection_finish(struct connection *connection)
{
    connection->is_finishing = true;
    if (connection->is_open) {
        set_reading(connection, false);
        close_if_done(connection);
    }
}

void connection_end_input(struct connection *connection)
{
    assert(!connection->is_taking_lines);
    if (connection->is_open) {
        connection->is_eof = true;
        set_reading(connection, false);
        frame_buffer_release(&connection->frame);
        frame_buffer_init(&connection->frame, connection->limits->max_line_bytes);
        close_if_done(connection);
    }
}

static bool has_hung_up(const struct connection *connection)
{
    struct pollfd wanted = {.fd = connection_get_fd(connection), .events = 0};
    return poll(&wanted, 1, 0) == 1 && (wanted.revents & (POLLHUP | POLLERR)) != 0;
}

void connection_check(struct connection *connection, uint64_t now_ns)
{
    if (!connection->is_open) {
        return;
    }
    size_t queued_bytes = connection_queued_bytes(connection);
    uint64_t taken_bytes = connection->sent_bytes - queued_bytes;
    if (taken_bytes != connection->taken_bytes || queued_bytes == 0) {
        connection->taken_bytes = taken_bytes;
        connection->progress_at_ns = now_ns;
    }
    if (queued_bytes > connection->limits->max_queued_bytes &&
        now_ns - connection->progress_at_ns > connection->limits->stall_ns) {
        log_warn("a client has %zu bytes to read and does not: dropped", queued_bytes);
        connection_close(connection);
        return;
    }
    if (!connection->is_reading) {
        (void)connection_is_present(connection);
    }
}

bool connection_is_present(struct connection *connection)
{
    /* Half-closed is a client that waits for its answers; hung up is one that is gone. */
    if (connection->is_open && has_hung_up(connection)) {
        connection_close(connection);
    }
    return connection->is_open;
}

void connection_set_peer(struct connection *connection, void *peer)
{
    connection->peer = peer;
}

void *connection_get_peer(const struct connection *connection)
{
    return connection->peer;
}
