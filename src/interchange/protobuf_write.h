/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * protobuf_write - messages of protocol buffers, field by field
 *
 * Shape:   a message grows in a text (base/text.h), which holds any bytes; one
 *          inside another is built apart and then put in as a field. Fields of
 *          the value 0 are left out, as proto3 does.
 * Owner:   the caller's text; check is_cut once at the end.
 * Threads: one.
 * Source:  the encoding guide of protocol buffers, "Message Structure"
 * Tests:   protobuf_write_test.c
 */

#include <stdint.h>

#include "base/text.h"

void protobuf_varint(struct text *message, uint64_t value);

void protobuf_uint(struct text *message, uint32_t field, uint64_t value);
/* Also where it is 0: in repeated fields and where 0 is not the default. */
void protobuf_uint_always(struct text *message, uint32_t field, uint64_t value);
/* int32, int64: negative numbers take ten bytes. */
void protobuf_int(struct text *message, uint32_t field, int64_t value);
void protobuf_bytes(struct text *message, uint32_t field, const void *bytes, size_t n_bytes);
/* What is no UTF-8 becomes U+FFFD: readers may refuse the whole file for it. */
void protobuf_string(struct text *message, uint32_t field, const char *string);
/* The same without field and length. */
void protobuf_text(struct text *message, const char *string);
/* Where the inner one is cut, so is the outer one. */
void protobuf_message(struct text *message, uint32_t field, const struct text *inner);

struct export_sink;

/* The message as a field of what the sink holds; one that is cut fails the sink. Empties it. */
void protobuf_put(struct export_sink *sink, uint32_t field, struct text *message);
/* Its fields as fields of what the sink holds; else the same. */
void protobuf_put_fields(struct export_sink *sink, struct text *message);
