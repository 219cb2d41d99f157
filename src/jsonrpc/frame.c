/* SPDX-License-Identifier: MIT */

#include "jsonrpc/frame.h"

#include <errno.h>
#include <string.h>

#define FIRST_CAPACITY_BYTES 4096u

void frame_buffer_init(struct frame_buffer *buffer, size_t max_line_bytes)
{
    *buffer = (struct frame_buffer){.max_line_bytes = max_line_bytes};
}

void frame_buffer_release(struct frame_buffer *buffer)
{
    free(buffer->data);
    frame_buffer_init(buffer, buffer->max_line_bytes);
}

static size_t bound_bytes(const struct frame_buffer *buffer)
{
    return buffer->max_line_bytes + FRAME_SLACK_BYTES;
}

size_t frame_buffer_room(const struct frame_buffer *buffer)
{
    return bound_bytes(buffer) - (buffer->end - buffer->start);
}

/* Makes room for n_bytes behind `end`, first by moving what is there to the front. */
static int grow(struct frame_buffer *buffer, size_t n_bytes)
{
    if (buffer->capacity_bytes - buffer->end >= n_bytes) {
        return 0;
    }
    size_t n_kept = buffer->end - buffer->start;
    if (buffer->start > 0) {
        memmove(buffer->data, buffer->data + buffer->start, n_kept);
        buffer->scanned -= buffer->start;
        buffer->end = n_kept;
        buffer->start = 0;
    }
    if (buffer->capacity_bytes - buffer->end >= n_bytes) {
        return 0;
    }
    size_t capacity = buffer->capacity_bytes ? buffer->capacity_bytes : FIRST_CAPACITY_BYTES;
    while (capacity - n_kept < n_bytes) {
        capacity *= 2;
    }
    char *data = realloc(buffer->data, capacity);
    if (!data) {
        return -ENOMEM;
    }
    buffer->data = data;
    buffer->capacity_bytes = capacity;
    return 0;
}

int frame_buffer_feed(struct frame_buffer *buffer, const void *bytes, size_t n_bytes)
{
    if (n_bytes == 0) {
        return 0;
    }
    if (n_bytes > frame_buffer_room(buffer)) {
        return -ENOBUFS;
    }
    int r = grow(buffer, n_bytes);
    if (r < 0) {
        return r;
    }
    memcpy(buffer->data + buffer->end, bytes, n_bytes);
    buffer->end += n_bytes;
    return 0;
}

/* The newline that ends the first line, or NULL; nothing is looked at twice. */
static char *find_newline(struct frame_buffer *buffer)
{
    if (buffer->scanned == buffer->end) {
        return NULL;
    }
    char *newline = memchr(buffer->data + buffer->scanned, '\n', buffer->end - buffer->scanned);
    buffer->scanned = newline ? (size_t)(newline - buffer->data) : buffer->end;
    return newline;
}

int frame_buffer_next(struct frame_buffer *buffer, const char **ret_line, size_t *ret_n_bytes)
{
    while (!buffer->is_oversized) {
        char *newline = find_newline(buffer);
        size_t n_bytes = buffer->scanned - buffer->start;
        if (n_bytes > buffer->max_line_bytes) {
            buffer->is_oversized = true;
            break;
        }
        if (!newline) {
            return 0;
        }
        const char *line = buffer->data + buffer->start;
        *newline = '\0';
        buffer->start = ++buffer->scanned;
        if (n_bytes > 0 && line[n_bytes - 1] == '\r') {
            n_bytes--;
        }
        if (n_bytes > 0) {
            *ret_line = line;
            *ret_n_bytes = n_bytes;
            return 1;
        }
    }
    return -EMSGSIZE;
}

bool frame_buffer_is_partial(const struct frame_buffer *buffer)
{
    return buffer->end > buffer->start;
}
