/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * frame - documents out of a byte stream: one per line
 *
 * Bytes arrive in any pieces; lines come out whole.
 *
 *     n = read(fd, chunk, min(sizeof(chunk), frame_buffer_room(&buffer)));
 *     r = frame_buffer_feed(&buffer, chunk, n);
 *     while ((r = frame_buffer_next(&buffer, &line, &n_line)) > 0) { … }
 *
 * Owner:   the buffer owns its bytes; a line is borrowed until the next call.
 * Threads: one.
 * Limits:  a line of max_line_bytes; unread lines of that plus FRAME_SLACK_BYTES
 *          in all, so who does not take lines out must stop reading.
 * Tests:   frame_test.c; tests/fuzz/fuzz_jsonrpc.c
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

#define FRAME_SLACK_BYTES (64u << 10)

struct frame_buffer {
    char *data;
    size_t capacity_bytes;
    size_t start;   /* of the first line not yet taken */
    size_t end;     /* of the bytes that arrived */
    size_t scanned; /* no newline between start and here */
    size_t max_line_bytes;
    bool is_oversized; /* sticky */
};

void frame_buffer_init(struct frame_buffer *buffer, size_t max_line_bytes);
void frame_buffer_release(struct frame_buffer *buffer);
DEFINE_RELEASEP(frame_buffer);

/* How many bytes frame_buffer_feed() would take now; 0: take lines first. */
size_t frame_buffer_room(const struct frame_buffer *buffer);

/* 0; -ENOBUFS when n_bytes is more than the room; -ENOMEM. */
int frame_buffer_feed(struct frame_buffer *buffer, const void *bytes, size_t n_bytes);

/*
 * 1 and the next line without its newline, which is overwritten by a NUL; 0
 * when none is complete; -EMSGSIZE, from then on always, when a line is longer
 * than max_line_bytes, ended or not. Empty lines are passed over.
 */
int frame_buffer_next(struct frame_buffer *buffer, const char **ret_line, size_t *ret_n_bytes);

/* Bytes of an unfinished line are waiting: the peer has sent half a document. */
bool frame_buffer_is_partial(const struct frame_buffer *buffer);
