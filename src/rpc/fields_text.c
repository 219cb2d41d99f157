/* SPDX-License-Identifier: MIT */

/*
 * From text, without a tree: results, on the asking side. Recursion is as deep
 * as the text is nested, which json_scan bounds.
 */

#include "rpc/fields.h"

#include <errno.h>
#include <string.h>

#include "rpc/fields_internal.h"

#define KEY_BYTES 64 /* no name in schema/ is as long */

static int read_object(const struct rpc_type *type, struct json_scan *scan,
                       const struct rpc_path *outer, const struct rpc_decoding *decoding,
                       void *object);

static int read_bool(const struct rpc_field *field, struct json_scan *scan,
                     const struct rpc_path *path, const struct rpc_decoding *decoding, void *target)
{
    bool value;
    if (field->kind != RPC_FIELD_BOOL) {
        return rpc_field_refuse_kind(field, path, decoding);
    }
    if (!json_scan_bool(scan, &value)) {
        return -EBADMSG;
    }
    memcpy(target, &value, sizeof(value));
    return 0;
}

static int read_json(struct json_scan *scan, const struct rpc_decoding *decoding, void *target)
{
    const char *json;
    size_t n_bytes;
    if (!json_scan_skip(scan, &json, &n_bytes)) {
        return -EBADMSG;
    }
    char *kept = arena_strndup(decoding->arena, json, n_bytes);
    if (!kept) {
        return -ENOMEM;
    }
    memcpy(target, &kept, sizeof(kept));
    return 0;
}

static int read_value(const struct rpc_field *field, struct json_scan *scan,
                      const struct rpc_path *path, const struct rpc_decoding *decoding,
                      void *target)
{
    struct json_number number;
    char *string;
    switch (json_scan_kind(scan)) {
    case JSON_KIND_OBJECT:
        if (field->kind == RPC_FIELD_JSON) {
            return read_json(scan, decoding, target);
        }
        if (field->kind == RPC_FIELD_STRUCT) {
            return read_object(field->type, scan, path, decoding, target);
        }
        break;
    case JSON_KIND_STRING:
        if (!json_scan_string(scan, decoding->arena, &string)) {
            return -EBADMSG;
        }
        return rpc_field_store_string(field, string, path, decoding, target);
    case JSON_KIND_NUMBER:
        if (!json_scan_number(scan, &number)) {
            return -EBADMSG;
        }
        return rpc_field_store_number(field, &number, path, decoding, target);
    case JSON_KIND_BOOL:
        return read_bool(field, scan, path, decoding, target);
    case JSON_KIND_NOTHING:
        return -EBADMSG;
    case JSON_KIND_ARRAY:
    case JSON_KIND_NULL:
        break;
    }
    return rpc_field_refuse_kind(field, path, decoding);
}

/* Room for one more element; the abandoned smaller arrays make up less than the final one. */
static int grow(char **elements, size_t n_elements, size_t *capacity, size_t element_bytes,
                struct arena *arena)
{
    if (n_elements < *capacity) {
        return 0;
    }
    size_t wanted = *capacity ? *capacity * 2 : 1;
    char *grown = arena_alloc_array(arena, wanted, element_bytes);
    if (!grown) {
        return -ENOMEM;
    }
    if (n_elements > 0) {
        memcpy(grown, *elements, n_elements * element_bytes);
    }
    *elements = grown;
    *capacity = wanted;
    return 0;
}

static int read_array(const struct rpc_field *field, struct json_scan *scan, struct rpc_path *path,
                      const struct rpc_decoding *decoding, char *object)
{
    if (json_scan_kind(scan) != JSON_KIND_ARRAY) {
        return rpc_field_refuse_kind(field, path, decoding);
    }
    size_t element_bytes = rpc_field_element_bytes(field);
    size_t n_elements = 0;
    size_t capacity = 0;
    char *elements = NULL;
    (void)json_scan_enter(scan, '[');
    while (json_scan_next_element(scan)) {
        int r = grow(&elements, n_elements, &capacity, element_bytes, decoding->arena);
        if (r < 0) {
            return r;
        }
        path->index = (long)n_elements;
        r = read_value(field, scan, path, decoding, elements + n_elements * element_bytes);
        if (r < 0) {
            return r;
        }
        n_elements++;
    }
    if (scan->failure) {
        return -EBADMSG;
    }
    memcpy(object + field->offset, &elements, sizeof(elements));
    memcpy(object + field->count_offset, &n_elements, sizeof(n_elements));
    return 0;
}

/* The member that comes next, of whatever kind. */
static int read_member(const struct rpc_field *field, struct json_scan *scan,
                       const struct rpc_path *outer, const struct rpc_decoding *decoding,
                       char *object)
{
    struct rpc_path path = {.outer = outer, .field = field, .index = -1};
    int r = field->is_array ? read_array(field, scan, &path, decoding, object)
                            : read_value(field, scan, &path, decoding, object + field->offset);
    if (r == 0) {
        rpc_field_set_present(field, object);
    }
    return r;
}

static int read_object(const struct rpc_type *type, struct json_scan *scan,
                       const struct rpc_path *outer, const struct rpc_decoding *decoding,
                       void *object)
{
    char key[KEY_BYTES];
    uint64_t seen = 0;
    size_t hint = 0;
    rpc_set_defaults(type, object);
    if (!json_scan_enter(scan, '{')) {
        return -EBADMSG;
    }
    while (json_scan_next_member(scan, key, sizeof(key))) {
        const struct rpc_field *field = rpc_type_find_field(type, key, &hint);
        if (!field || json_scan_kind(scan) == JSON_KIND_NULL) {
            if (!json_scan_skip(scan, NULL, NULL)) {
                return -EBADMSG;
            }
            continue;
        }
        int r = read_member(field, scan, outer, decoding, object);
        if (r < 0) {
            return r;
        }
        seen |= UINT64_C(1) << (field - type->fields);
    }
    return scan->failure ? -EBADMSG : rpc_type_check_required(type, seen, outer, decoding);
}

int rpc_decode_text(const struct rpc_type *type, struct json_scan *scan, struct arena *arena,
                    void *object, struct error *reterr_error)
{
    struct rpc_decoding decoding = {.arena = arena, .error = reterr_error};
    if (!scan->failure && json_scan_kind(scan) != JSON_KIND_OBJECT) {
        return rpc_field_refuse_kind(NULL, NULL, &decoding);
    }
    int r = read_object(type, scan, NULL, &decoding, object);
    if (r == -ENOMEM) {
        error_set(reterr_error, "internal", "out of memory");
    } else if (r == -EBADMSG) {
        error_set(reterr_error, "parse_error", "not JSON at byte %zu: %s",
                  (size_t)(scan->at - scan->start),
                  scan->failure ? scan->failure : "a value is expected");
    }
    return r;
}
