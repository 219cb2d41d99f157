/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * json_write - JSON text, written as it is produced
 *
 * Answers reach megabytes (a flame graph of a large program), so nothing is
 * built in memory first: each call appends to a text. The writer knows where
 * commas go; that keys and values alternate is the caller's business.
 *
 * Shape:   RFC 8259 without white space. Bytes that are not UTF-8 become
 *          U+FFFD, control characters \u00XX, NULL strings null. A double that
 *          is not finite becomes null.
 * Owner:   borrows the text; check text->is_cut once at the end.
 * Threads: one per writer.
 * Tests:   json_write_test.c; tests/fuzz/fuzz_jsonrpc.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct json_writer {
    struct text *text;
    bool needs_comma;
};

static inline struct json_writer json_writer_of(struct text *text)
{
    return (struct json_writer){.text = text, .needs_comma = false};
}

void json_write_object_begin(struct json_writer *writer);
void json_write_object_end(struct json_writer *writer);
void json_write_array_begin(struct json_writer *writer);
void json_write_array_end(struct json_writer *writer);

/* The name of the next value. */
void json_write_key(struct json_writer *writer, const char *key);

/* A whole `"key":` that needs no escaping; the field tables keep them ready. */
void json_write_quoted_key(struct json_writer *writer, const char *quoted_key, size_t n_bytes);

void json_write_null(struct json_writer *writer);
void json_write_bool(struct json_writer *writer, bool value);
void json_write_i64(struct json_writer *writer, int64_t value);
void json_write_u64(struct json_writer *writer, uint64_t value);

/* The shortest text that reads back as the same double, whatever the locale. */
void json_write_f64(struct json_writer *writer, double value);

void json_write_string(struct json_writer *writer, const char *string);
void json_write_string_bytes(struct json_writer *writer, const char *string, size_t n_bytes);

/* `json` is one complete value, copied as it is. */
void json_write_raw(struct json_writer *writer, const char *json, size_t n_bytes);
