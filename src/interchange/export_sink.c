/* SPDX-License-Identifier: MIT */
#include "interchange/export_sink.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/fd.h"

#define GZIP_WINDOW_BITS (15 + 16) /* zlib.h: 16 more asks for a gzip header */
#define GZIP_LEVEL 6
#define REPLACEMENT "\xef\xbf\xbd"

struct export_gzip {
    z_stream stream;
    bool is_begun;
    unsigned char out[EXPORT_SINK_BUFFER_BYTES];
};

/* ---- out ---- */

static void write_out(struct export_sink *sink, const void *bytes, size_t n_bytes)
{
    if (sink->failure == 0) {
        sink->failure = fd_write_all(sink->fd, bytes, n_bytes);
        sink->n_bytes += sink->failure == 0 ? n_bytes : 0;
    }
}

static void deflate_out(struct export_sink *sink, const void *bytes, size_t n_bytes, int flush)
{
    struct export_gzip *gzip = sink->gzip;
    gzip->stream.next_in = (z_const Bytef *)bytes;
    gzip->stream.avail_in = (uInt)n_bytes;
    do {
        gzip->stream.next_out = gzip->out;
        gzip->stream.avail_out = sizeof(gzip->out);
        if (deflate(&gzip->stream, flush) == Z_STREAM_ERROR) {
            sink->failure = -EIO;
            return;
        }
        write_out(sink, gzip->out, sizeof(gzip->out) - gzip->stream.avail_out);
    } while (gzip->stream.avail_out == 0 && sink->failure == 0);
}

static void empty_buffer(struct export_sink *sink)
{
    if (sink->gzip) {
        deflate_out(sink, sink->buffer, sink->n_buffered, Z_NO_FLUSH);
    } else {
        write_out(sink, sink->buffer, sink->n_buffered);
    }
    sink->n_buffered = 0;
}

int export_sink_init(struct export_sink *sink, int fd, bool is_gzip)
{
    *sink = (struct export_sink){.fd = fd, .buffer = malloc(EXPORT_SINK_BUFFER_BYTES)};
    if (is_gzip) {
        sink->gzip = calloc(1, sizeof(*sink->gzip));
    }
    if (!sink->buffer || (is_gzip && !sink->gzip)) {
        export_sink_release(sink);
        return -ENOMEM;
    }
    if (is_gzip) {
        /* No time and no name in the header: the same run gives the same bytes. */
        if (deflateInit2(&sink->gzip->stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, 8,
                         Z_DEFAULT_STRATEGY) != Z_OK) {
            export_sink_release(sink);
            return -ENOMEM;
        }
        sink->gzip->is_begun = true;
    }
    return 0;
}

void export_sink_release(struct export_sink *sink)
{
    if (sink->gzip && sink->gzip->is_begun) {
        deflateEnd(&sink->gzip->stream);
    }
    free(sink->gzip);
    free(sink->buffer);
    sink->gzip = NULL;
    sink->buffer = NULL;
}

int export_sink_finish(struct export_sink *sink)
{
    empty_buffer(sink);
    if (sink->gzip && sink->failure == 0) {
        deflate_out(sink, NULL, 0, Z_FINISH);
    }
    return sink->failure;
}

void export_sink_bytes(struct export_sink *sink, const void *bytes, size_t n_bytes)
{
    const char *at = bytes;
    while (n_bytes > 0 && sink->failure == 0) {
        size_t room = EXPORT_SINK_BUFFER_BYTES - sink->n_buffered;
        size_t n_now = n_bytes < room ? n_bytes : room;
        memcpy(sink->buffer + sink->n_buffered, at, n_now);
        sink->n_buffered += n_now;
        at += n_now;
        n_bytes -= n_now;
        if (sink->n_buffered == EXPORT_SINK_BUFFER_BYTES) {
            empty_buffer(sink);
        }
    }
}

/* ---- text ---- */

void export_sink_text(struct export_sink *sink, const char *text)
{
    export_sink_bytes(sink, text, strlen(text));
}

void export_sink_char(struct export_sink *sink, char character)
{
    export_sink_bytes(sink, &character, 1);
}

void export_sink_u64(struct export_sink *sink, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    export_sink_bytes(sink, digits + at, sizeof(digits) - at);
}

void export_sink_printf(struct export_sink *sink, const char *format, ...)
{
    char text[1000];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (n > 0) {
        size_t n_bytes = (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
        export_sink_bytes(sink, text, n_bytes);
    }
}

void export_sink_ms(struct export_sink *sink, uint64_t time_ns)
{
    uint64_t rest_ns = time_ns % 1000000;
    export_sink_u64(sink, time_ns / 1000000);
    if (rest_ns == 0) {
        return;
    }
    char digits[8];
    snprintf(digits, sizeof(digits), ".%06u", (unsigned int)rest_ns);
    size_t n_digits = strlen(digits);
    while (digits[n_digits - 1] == '0') {
        n_digits--;
    }
    export_sink_bytes(sink, digits, n_digits);
}

/* ---- names ---- */

/* How many bytes the character at `text` has; 0: it is no UTF-8 (RFC 3629, section 4). */
static size_t utf8_length(const unsigned char *text)
{
    if (text[0] < 0x80) {
        return 1;
    }
    if (text[0] < 0xc2 || text[0] > 0xf4) {
        return 0;
    }
    size_t n_bytes = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
    /* Shortest forms only, no surrogates, nothing past U+10FFFF: the second byte decides. */
    unsigned char least = text[0] == 0xe0 ? 0xa0 : text[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char most = text[0] == 0xed ? 0x9f : text[0] == 0xf4 ? 0x8f : 0xbf;
    if (text[1] < least || text[1] > most) {
        return 0;
    }
    for (size_t i = 2; i < n_bytes; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n_bytes;
}

size_t export_character_next(const char **text, const char **ret_bytes)
{
    const char *at = *text;
    if (*at == '\0') {
        return 0;
    }
    size_t n_bytes = utf8_length((const unsigned char *)at);
    *ret_bytes = n_bytes > 0 ? at : REPLACEMENT;
    *text = at + (n_bytes > 0 ? n_bytes : 1);
    return n_bytes > 0 ? n_bytes : sizeof(REPLACEMENT) - 1;
}

/* Most names are plain: how many bytes from here on can go out as they are. */
static size_t plain_length(const char *text, const char *special)
{
    size_t n_bytes = 0;
    for (;; n_bytes++) {
        unsigned char byte = (unsigned char)text[n_bytes];
        if (byte < 0x20 || byte >= 0x7f) {
            return n_bytes;
        }
        for (const char *at = special; *at != '\0'; at++) {
            if ((unsigned char)*at == byte) {
                return n_bytes;
            }
        }
    }
}

static void put_plain(struct export_sink *sink, const char **text, const char *special)
{
    size_t n_bytes = plain_length(*text, special);
    export_sink_bytes(sink, *text, n_bytes);
    *text += n_bytes;
}

void export_sink_json(struct export_sink *sink, const char *text)
{
    const char *bytes;
    size_t n_bytes;
    export_sink_char(sink, '"');
    put_plain(sink, &text, "\"\\<");
    while ((n_bytes = export_character_next(&text, &bytes)) > 0) {
        unsigned char first = (unsigned char)bytes[0];
        if (first == '"' || first == '\\') {
            export_sink_char(sink, '\\');
        }
        /* Within a page the end of a script element must not show; JSON may write it so. */
        if (first < 0x20 || first == 0x7f || first == '<') {
            export_sink_printf(sink, "\\u%04x", first);
        } else {
            export_sink_bytes(sink, bytes, n_bytes);
        }
    }
    export_sink_char(sink, '"');
}

/* XML 1.0 has no other control characters than these, and not the last two of the first plane. */
static bool is_xml(const char *bytes, size_t n_bytes)
{
    if ((unsigned char)bytes[0] < 0x20) {
        return strchr("\t\n\r", bytes[0]);
    }
    return n_bytes != 3 ||
           (memcmp(bytes, "\xef\xbf\xbe", 3) != 0 && memcmp(bytes, "\xef\xbf\xbf", 3) != 0);
}

void export_sink_xml(struct export_sink *sink, const char *text)
{
    const char *bytes;
    size_t n_bytes;
    put_plain(sink, &text, "&<>\"");
    while ((n_bytes = export_character_next(&text, &bytes)) > 0) {
        switch (bytes[0]) {
        case '&':
            export_sink_text(sink, "&amp;");
            break;
        case '<':
            export_sink_text(sink, "&lt;");
            break;
        case '>':
            export_sink_text(sink, "&gt;");
            break;
        case '"':
            export_sink_text(sink, "&quot;");
            break;
        default:
            if (!is_xml(bytes, n_bytes)) {
                export_sink_text(sink, REPLACEMENT);
            } else {
                export_sink_bytes(sink, bytes, n_bytes);
            }
        }
    }
}

void export_sink_line(struct export_sink *sink, const char *text, const char *replaced)
{
    const char *bytes;
    size_t n_bytes;
    put_plain(sink, &text, replaced);
    while ((n_bytes = export_character_next(&text, &bytes)) > 0) {
        unsigned char first = (unsigned char)bytes[0];
        if (first < 0x20 || first == 0x7f || strchr(replaced, first)) {
            export_sink_char(sink, '_');
        } else {
            export_sink_bytes(sink, bytes, n_bytes);
        }
    }
}
