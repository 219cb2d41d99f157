/* SPDX-License-Identifier: MIT */

#include "rpc/message.h"

#include <string.h>

#include "jsonrpc/json_write.h"
#include "jsonrpc/rpc_error.h"

/* Everything up to the value that the caller appends; end() closes it. */
static void begin_answer(struct text *text, const char *id, const char *member)
{
    text_append(text, "{\"jsonrpc\":\"2.0\",\"id\":");
    text_append(text, id);
    text_append(text, member);
}

static void end(struct text *text, const char *brackets)
{
    text_append(text, brackets);
    text_append_char(text, '\n');
}

void message_result(struct text *text, const char *id, const struct rpc_type *type,
                    const void *object)
{
    begin_answer(text, id, ",\"result\":");
    if (type) {
        rpc_encode(type, object, text);
    } else {
        text_append(text, "{}");
    }
    end(text, "}");
}

void message_result_json(struct text *text, const char *id, const char *json, size_t n_bytes)
{
    begin_answer(text, id, ",\"result\":");
    text_append_bytes(text, json, n_bytes);
    end(text, "}");
}

void message_error(struct text *text, const char *id, const struct error *error)
{
    begin_answer(text, id, ",\"error\":");
    struct json_writer writer = json_writer_of(text);
    rpc_error_write(&writer, error);
    end(text, "}");
}

static void begin_update(struct text *text, uint64_t subscription, uint64_t sequence)
{
    struct json_writer writer = json_writer_of(text);
    text_append(text, "{\"jsonrpc\":\"2.0\",\"method\":\"update\",\"params\":{\"subscription\":");
    json_write_u64(&writer, subscription);
    text_append(text, ",\"sequence\":");
    writer.needs_comma = false;
    json_write_u64(&writer, sequence);
    text_append(text, ",\"result\":");
}

void message_update(struct text *text, uint64_t subscription, uint64_t sequence,
                    const struct rpc_type *type, const void *object)
{
    begin_update(text, subscription, sequence);
    rpc_encode(type, object, text);
    end(text, "}}");
}

void message_update_json(struct text *text, uint64_t subscription, uint64_t sequence,
                         const char *json, size_t n_bytes)
{
    begin_update(text, subscription, sequence);
    text_append_bytes(text, json, n_bytes);
    end(text, "}}");
}

void message_request(struct text *text, uint64_t id, const char *method,
                     const struct rpc_type *type, const void *params)
{
    struct json_writer writer = json_writer_of(text);
    json_write_object_begin(&writer);
    json_write_key(&writer, "jsonrpc");
    json_write_string(&writer, "2.0");
    json_write_key(&writer, "id");
    json_write_u64(&writer, id);
    json_write_key(&writer, "method");
    json_write_string(&writer, method);
    if (type) {
        text_append(text, ",\"params\":");
        rpc_encode(type, params, text);
    }
    end(text, "}");
}
