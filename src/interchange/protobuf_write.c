/* SPDX-License-Identifier: MIT */
#include "interchange/protobuf_write.h"

#include <errno.h>
#include <string.h>

#include "interchange/export_sink.h"

#define WIRE_VARINT 0u
#define WIRE_BYTES 2u

void protobuf_varint(struct text *message, uint64_t value)
{
    char bytes[10];
    size_t n_bytes = 0;
    while (value >= 0x80) {
        bytes[n_bytes++] = (char)(value | 0x80);
        value >>= 7;
    }
    bytes[n_bytes++] = (char)value;
    text_append_bytes(message, bytes, n_bytes);
}

void protobuf_uint_always(struct text *message, uint32_t field, uint64_t value)
{
    protobuf_varint(message, (uint64_t)field << 3 | WIRE_VARINT);
    protobuf_varint(message, value);
}

void protobuf_uint(struct text *message, uint32_t field, uint64_t value)
{
    if (value != 0) {
        protobuf_uint_always(message, field, value);
    }
}

void protobuf_int(struct text *message, uint32_t field, int64_t value)
{
    protobuf_uint(message, field, (uint64_t)value);
}

void protobuf_bytes(struct text *message, uint32_t field, const void *bytes, size_t n_bytes)
{
    protobuf_varint(message, (uint64_t)field << 3 | WIRE_BYTES);
    protobuf_varint(message, n_bytes);
    text_append_bytes(message, bytes, n_bytes);
}

/* How long it is with all that is no UTF-8 replaced. */
static size_t clean_length(const char *string)
{
    size_t n_bytes = 0, n_more;
    const char *bytes;
    while ((n_more = export_character_next(&string, &bytes)) > 0) {
        n_bytes += n_more;
    }
    return n_bytes;
}

void protobuf_text(struct text *message, const char *string)
{
    const char *bytes;
    size_t n_bytes;
    while ((n_bytes = export_character_next(&string, &bytes)) > 0) {
        text_append_bytes(message, bytes, n_bytes);
    }
}

void protobuf_string(struct text *message, uint32_t field, const char *string)
{
    protobuf_varint(message, (uint64_t)field << 3 | WIRE_BYTES);
    protobuf_varint(message, clean_length(string));
    protobuf_text(message, string);
}

void protobuf_message(struct text *message, uint32_t field, const struct text *inner)
{
    protobuf_bytes(message, field, inner->data, inner->length_bytes);
    message->is_cut = message->is_cut || inner->is_cut;
}

void protobuf_put_fields(struct export_sink *sink, struct text *message)
{
    if (message->is_cut && sink->failure == 0) {
        sink->failure = -ENOMEM;
    }
    export_sink_bytes(sink, message->data, message->length_bytes);
    text_clear(message);
}

void protobuf_put(struct export_sink *sink, uint32_t field, struct text *message)
{
    char bytes[20];
    struct text head = {.data = bytes, .capacity_bytes = sizeof(bytes), .max_bytes = sizeof(bytes)};
    protobuf_varint(&head, (uint64_t)field << 3 | WIRE_BYTES);
    protobuf_varint(&head, message->length_bytes);
    export_sink_bytes(sink, head.data, head.length_bytes);
    protobuf_put_fields(sink, message);
}
