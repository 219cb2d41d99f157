/* SPDX-License-Identifier: MIT */

/*
 * Bytes from a socket: framing, requests, and the two JSON readers, which must
 * agree about what is JSON. Whatever a string holds, what json_write makes of
 * it must be JSON.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "jsonrpc/frame.h"
#include "jsonrpc/json_read.h"
#include "jsonrpc/json_scan.h"
#include "jsonrpc/json_write.h"
#include "jsonrpc/request.h"
#include "jsonrpc/rpc_error.h"

#define MAX_LINE_BYTES 512
#define LONG_NUMBER_BYTES 400 /* json_scan takes no longer ones */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static bool scans(const char *bytes, size_t n_bytes)
{
    struct json_scan scan = json_scan_of(bytes, n_bytes);
    return json_scan_skip(&scan, NULL, NULL) && json_scan_end(&scan);
}

static void compare_readers(const char *bytes, size_t n_bytes)
{
    static const struct json_limits limits = {.max_bytes = SIZE_MAX, .max_nesting = 2000};
    struct error error;
    json_error_t wrong;
    json_t *tree = NULL;
    if (json_read(bytes, n_bytes, &limits, &tree, &error) == 0) {
        require(n_bytes > LONG_NUMBER_BYTES || scans(bytes, n_bytes));
    } else if (scans(bytes, n_bytes)) {
        /* Refused for what json_scan.h says it lets through, or what the parser has no room for. */
        json_t *lenient = json_loadb(bytes, n_bytes, JSON_DECODE_ANY, &wrong);
        enum json_error_code code = lenient ? json_error_unknown : json_error_code(&wrong);
        require(lenient || code == json_error_numeric_overflow ||
                code == json_error_stack_overflow);
        json_decref(lenient);
    }
    (void)json_tree_free(tree);

    struct json_scan scan = json_scan_of(bytes, n_bytes);
    rpc_error_read(&scan, &error);
}

static void check_request(const char *bytes, size_t n_bytes)
{
    static const struct json_limits limits = {.max_bytes = 1 << 20, .max_nesting = 32};
    struct jsonrpc_request request;
    struct error error = {.code = ""};
    int r = jsonrpc_request_parse(bytes, n_bytes, &limits, &request, &error);
    require(r <= 0 && (r == 0) == (request.method != NULL) && (r == 0) != error_is_set(&error));
    require(scans(request.id, strlen(request.id)));
    jsonrpc_request_release(&request);
}

/* Feeds the bytes in pieces whose lengths the bytes themselves decide. */
static void check_frames(const uint8_t *data, size_t size)
{
    struct frame_buffer buffer;
    size_t at = 0;
    int r = 0;
    frame_buffer_init(&buffer, MAX_LINE_BYTES);
    while (at < size && r >= 0) {
        size_t n = (size_t)data[at] % 64 + 1;
        n = n < size - at ? n : size - at;
        require(frame_buffer_feed(&buffer, data + at, n) == 0);
        at += n;
        const char *line;
        size_t n_line;
        while ((r = frame_buffer_next(&buffer, &line, &n_line)) > 0) {
            require(n_line > 0 && n_line <= MAX_LINE_BYTES && line[n_line] != '\n');
            require(memchr(line, '\n', n_line) == NULL);
        }
    }
    frame_buffer_release(&buffer);
}

static void check_writer(const char *bytes, size_t n_bytes)
{
    struct text text;
    double real = 0;
    text_init(&text, SIZE_MAX);
    struct json_writer writer = json_writer_of(&text);
    memcpy(&real, bytes, n_bytes < sizeof(real) ? n_bytes : sizeof(real));
    json_write_object_begin(&writer);
    json_write_key(&writer, "real");
    json_write_f64(&writer, real);
    json_write_key(&writer, "string");
    /* A NUL is written as an escape that readers into C strings refuse. */
    json_write_string_bytes(&writer, bytes, strnlen(bytes, n_bytes));
    json_write_object_end(&writer);
    require(scans(text.data, text.length_bytes));
    text_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    compare_readers(bytes, size);
    check_request(bytes, size);
    check_frames(data, size);
    check_writer(bytes, size);
    return 0;
}
