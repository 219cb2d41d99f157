/* SPDX-License-Identifier: MIT */

#include "rpc/fields.h"

#include <string.h>

#include "jsonrpc/json_write.h"
#include "rpc/fields_internal.h"

static void write_object(struct json_writer *writer, const struct rpc_type *type,
                         const void *object);

/* A value of a member may be at any alignment that its type allows; memcpy keeps aliasing honest.
 */
#define READ(variable, source) memcpy(&(variable), (source), sizeof(variable))

static void write_json(struct json_writer *writer, const char *json)
{
    json_write_raw(writer, json, strlen(json));
}

static void write_choice(struct json_writer *writer, const struct rpc_enum *choice, uint32_t value)
{
    if (value < choice->n_values) {
        json_write_string(writer, choice->values[value]);
    } else {
        json_write_null(writer);
    }
}

static void write_value(struct json_writer *writer, const struct rpc_field *field,
                        const void *source)
{
    union {
        bool flag;
        int32_t i32;
        int64_t i64;
        uint32_t u32;
        uint64_t u64;
        double f64;
        const char *string;
    } value;

    if (field->kind == RPC_FIELD_STRUCT) {
        write_object(writer, field->type, source);
        return;
    }
    memcpy(&value, source, rpc_field_element_bytes(field));
    switch (field->kind) {
    case RPC_FIELD_BOOL:
        json_write_bool(writer, value.flag);
        break;
    case RPC_FIELD_I32:
        json_write_i64(writer, value.i32);
        break;
    case RPC_FIELD_I64:
        json_write_i64(writer, value.i64);
        break;
    case RPC_FIELD_U32:
        json_write_u64(writer, value.u32);
        break;
    case RPC_FIELD_U64:
        json_write_u64(writer, value.u64);
        break;
    case RPC_FIELD_F64:
        json_write_f64(writer, value.f64);
        break;
    case RPC_FIELD_STRING:
        json_write_string(writer, value.string);
        break;
    case RPC_FIELD_JSON:
        write_json(writer, value.string);
        break;
    case RPC_FIELD_ENUM:
        write_choice(writer, field->choice, value.u32);
        break;
    case RPC_FIELD_STRUCT:
        break;
    }
}

static void write_array(struct json_writer *writer, const struct rpc_field *field,
                        const char *object)
{
    size_t n_elements;
    const char *elements;
    size_t element_bytes = rpc_field_element_bytes(field);
    READ(n_elements, object + field->count_offset);
    READ(elements, object + field->offset);

    json_write_array_begin(writer);
    for (size_t i = 0; i < n_elements; i++) {
        write_value(writer, field, elements + i * element_bytes);
    }
    json_write_array_end(writer);
}

/* Whether the member is left out: its flag is false, or it is a string that is NULL. */
static bool is_absent(const struct rpc_field *field, const char *object)
{
    if (field->flag_offset != RPC_FIELD_NOWHERE) {
        bool flag;
        READ(flag, object + field->flag_offset);
        return !flag;
    }
    if (!field->is_array && (field->kind == RPC_FIELD_STRING || field->kind == RPC_FIELD_JSON)) {
        const char *string;
        READ(string, object + field->offset);
        return !string;
    }
    return false;
}

static void write_object(struct json_writer *writer, const struct rpc_type *type,
                         const void *object)
{
    const char *bytes = object;
    json_write_object_begin(writer);
    for (size_t i = 0; i < type->n_fields; i++) {
        const struct rpc_field *field = &type->fields[i];
        if (is_absent(field, bytes)) {
            continue;
        }
        json_write_quoted_key(writer, field->quoted_key, field->n_quoted_key);
        if (field->is_array) {
            write_array(writer, field, bytes);
        } else {
            write_value(writer, field, bytes + field->offset);
        }
    }
    json_write_object_end(writer);
}

void rpc_encode(const struct rpc_type *type, const void *object, struct text *text)
{
    struct json_writer writer = json_writer_of(text);
    write_object(&writer, type, object);
}
