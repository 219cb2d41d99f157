/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * export_sink - the bytes of an export on their way out
 *
 * Exports are written front to back through one buffer of fixed size, so that
 * a file can be larger than memory. What fails first is kept, everything after
 * it is dropped, and export_sink_finish() tells.
 *
 * Owner:   the caller holds the struct and the descriptor; _release() frees
 *          the buffer.
 * Threads: one.
 * Limits:  EXPORT_SINK_BUFFER_BYTES.
 * Tests:   export_sink_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

#define EXPORT_SINK_BUFFER_BYTES ((size_t)1 << 16)

struct export_gzip; /* export_sink.c */

struct export_sink {
    int fd;
    int failure; /* negative errno; 0: none */
    char *buffer;
    size_t n_buffered;
    uint64_t n_bytes; /* that have left, or wait to leave; of gzip after compression */
    struct export_gzip *gzip;
};

/* 0 or -ENOMEM. */
int export_sink_init(struct export_sink *sink, int fd, bool is_gzip);
void export_sink_release(struct export_sink *sink);
DEFINE_RELEASEP(export_sink);

/* Writes what is left. 0, or the negative errno of what failed first. */
int export_sink_finish(struct export_sink *sink);

void export_sink_bytes(struct export_sink *sink, const void *bytes, size_t n_bytes);
void export_sink_text(struct export_sink *sink, const char *text);
void export_sink_char(struct export_sink *sink, char character);
void export_sink_u64(struct export_sink *sink, uint64_t number);
void export_sink_printf(struct export_sink *sink, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* up to 1000 bytes; more is cut */

/* ns as milliseconds with six digits behind the point, without trailing zeros: "12.5". */
void export_sink_ms(struct export_sink *sink, uint64_t time_ns);

/*
 * The bytes of the next character of a text, which moves on; those of U+FFFD where there is no
 * UTF-8 (RFC 3629). 0: the text is over.
 */
size_t export_character_next(const char **text, const char **ret_bytes);

/*
 * Names come from programs and may hold any bytes. All of these replace what
 * is no UTF-8 by U+FFFD.
 */
void export_sink_json(struct export_sink *sink, const char *text); /* with quotes around it */
void export_sink_xml(struct export_sink *sink, const char *text);  /* for text and attributes */
/* On one line; the bytes in `replaced` become '_'. */
void export_sink_line(struct export_sink *sink, const char *text, const char *replaced);
