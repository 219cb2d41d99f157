/* SPDX-License-Identifier: MIT */

/*
 * From a parsed tree: parameters of requests, on the server. The tree is at
 * most LIMIT_REQUEST_NESTING deep, so recursion is.
 */

#include "rpc/fields.h"

#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "rpc/fields_internal.h"

static int read_object(const struct rpc_type *type, const json_t *json,
                       const struct rpc_path *outer, const struct rpc_decoding *decoding,
                       void *object);

static struct json_number number_of(const json_t *json)
{
    struct json_number number = {.real = json_number_value(json)};
    if (json_is_integer(json)) {
        json_int_t value = json_integer_value(json);
        number.is_integer = true;
        number.is_negative = value < 0;
        number.magnitude = value < 0 ? ~(uint64_t)value + 1 : (uint64_t)value;
    }
    return number;
}

static int read_string(const struct rpc_field *field, const json_t *json,
                       const struct rpc_path *path, const struct rpc_decoding *decoding,
                       void *target)
{
    char *string = arena_strdup(decoding->arena, json_string_value(json));
    return string ? rpc_field_store_string(field, string, path, decoding, target) : -ENOMEM;
}

static int read_bool(const struct rpc_field *field, const json_t *json, const struct rpc_path *path,
                     const struct rpc_decoding *decoding, void *target)
{
    bool value = json_is_true(json);
    if (field->kind != RPC_FIELD_BOOL) {
        return rpc_field_refuse_kind(field, path, decoding);
    }
    memcpy(target, &value, sizeof(value));
    return 0;
}

/* Keeps an object as text; whoever knows its type reads it again. */
static int read_json(const json_t *json, const struct rpc_decoding *decoding, void *target)
{
    _cleanup_(freep) char *json_text = json_dumps(json, JSON_COMPACT);
    char *kept = arena_strdup(decoding->arena, json_text);
    if (!kept) {
        return -ENOMEM;
    }
    memcpy(target, &kept, sizeof(kept));
    return 0;
}

static int read_value(const struct rpc_field *field, const json_t *json,
                      const struct rpc_path *path, const struct rpc_decoding *decoding,
                      void *target)
{
    struct json_number number;
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        if (field->kind == RPC_FIELD_JSON) {
            return read_json(json, decoding, target);
        }
        if (field->kind == RPC_FIELD_STRUCT) {
            return read_object(field->type, json, path, decoding, target);
        }
        break;
    case JSON_STRING:
        return read_string(field, json, path, decoding, target);
    case JSON_INTEGER:
    case JSON_REAL:
        number = number_of(json);
        return rpc_field_store_number(field, &number, path, decoding, target);
    case JSON_TRUE:
    case JSON_FALSE:
        return read_bool(field, json, path, decoding, target);
    case JSON_ARRAY:
    case JSON_NULL:
        break;
    }
    return rpc_field_refuse_kind(field, path, decoding);
}

static int read_array(const struct rpc_field *field, const json_t *json, struct rpc_path *path,
                      const struct rpc_decoding *decoding, char *object)
{
    if (!json_is_array(json)) {
        return rpc_field_refuse_kind(field, path, decoding);
    }
    size_t element_bytes = rpc_field_element_bytes(field);
    size_t n_elements = json_array_size(json);
    char *elements = arena_alloc_array(decoding->arena, n_elements, element_bytes);
    if (!elements) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n_elements; i++) {
        path->index = (long)i;
        int r = read_value(field, json_array_get(json, i), path, decoding,
                           elements + i * element_bytes);
        if (r < 0) {
            return r;
        }
    }
    memcpy(object + field->offset, &elements, sizeof(elements));
    memcpy(object + field->count_offset, &n_elements, sizeof(n_elements));
    return 0;
}

static int read_object(const struct rpc_type *type, const json_t *json,
                       const struct rpc_path *outer, const struct rpc_decoding *decoding,
                       void *object)
{
    uint64_t seen = 0;
    rpc_set_defaults(type, object);
    for (size_t i = 0; i < type->n_fields; i++) {
        const struct rpc_field *field = &type->fields[i];
        const json_t *member =
            json_object_getn(json, field->quoted_key + 1, field->n_quoted_key - 3u);
        if (!member || json_is_null(member)) {
            continue;
        }
        struct rpc_path path = {.outer = outer, .field = field, .index = -1};
        int r = field->is_array
                    ? read_array(field, member, &path, decoding, object)
                    : read_value(field, member, &path, decoding, (char *)object + field->offset);
        if (r < 0) {
            return r;
        }
        rpc_field_set_present(field, object);
        seen |= UINT64_C(1) << i;
    }
    return rpc_type_check_required(type, seen, outer, decoding);
}

int rpc_decode(const struct rpc_type *type, const struct json_t *json, struct arena *arena,
               void *object, struct error *reterr_error)
{
    struct rpc_decoding decoding = {.arena = arena, .error = reterr_error};
    if (json && !json_is_object(json)) {
        return rpc_field_refuse_kind(NULL, NULL, &decoding);
    }
    int r = read_object(type, json, NULL, &decoding, object);
    if (r == -ENOMEM) {
        error_set(reterr_error, "internal", "out of memory");
    }
    return r;
}
