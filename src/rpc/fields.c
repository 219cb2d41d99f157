/* SPDX-License-Identifier: MIT */

#include "rpc/fields.h"

#include <errno.h>
#include <string.h>

#include "rpc/fields_internal.h"

#define PATH_TEXT_BYTES 240
#define PATH_MAX_SHOWN 6 /* outermost members of a path that is deeper are cut */

size_t rpc_field_element_bytes(const struct rpc_field *field)
{
    switch (field->kind) {
    case RPC_FIELD_BOOL:
        return sizeof(bool);
    case RPC_FIELD_I32:
    case RPC_FIELD_U32:
    case RPC_FIELD_ENUM:
        return 4;
    case RPC_FIELD_I64:
    case RPC_FIELD_U64:
    case RPC_FIELD_F64:
        return 8;
    case RPC_FIELD_STRING:
    case RPC_FIELD_JSON:
        return sizeof(char *);
    case RPC_FIELD_STRUCT:
        break;
    }
    return field->type->size_bytes;
}

/* Stores an integer that is known to fit. */
static void put_integer(const struct rpc_field *field, int64_t value, void *target)
{
    if (field->kind == RPC_FIELD_BOOL) {
        bool flag = value != 0;
        memcpy(target, &flag, sizeof(flag));
    } else if (rpc_field_element_bytes(field) == 4) {
        uint32_t narrow = (uint32_t)value;
        memcpy(target, &narrow, sizeof(narrow));
    } else {
        memcpy(target, &value, sizeof(value));
    }
}

static void set_default(const struct rpc_field *field, void *target)
{
    switch (field->kind) {
    case RPC_FIELD_STRUCT:
        rpc_set_defaults(field->type, target);
        break;
    case RPC_FIELD_F64:
        memcpy(target, &field->default_real, sizeof(field->default_real));
        break;
    case RPC_FIELD_STRING:
    case RPC_FIELD_JSON:
        break;
    default:
        put_integer(field, field->default_integer, target);
        break;
    }
}

void rpc_set_defaults(const struct rpc_type *type, void *object)
{
    memset(object, 0, type->size_bytes);
    for (size_t i = 0; i < type->n_fields; i++) {
        const struct rpc_field *field = &type->fields[i];
        if (!field->is_array) {
            set_default(field, (char *)object + field->offset);
        }
    }
}

static bool has_key(const struct rpc_field *field, const char *key, size_t n_key)
{
    return field->n_quoted_key == n_key + 3 && memcmp(field->quoted_key + 1, key, n_key) == 0;
}

const struct rpc_field *rpc_type_find_field(const struct rpc_type *type, const char *key,
                                            size_t *hint)
{
    size_t n_key = strlen(key);
    for (size_t i = 0; i < type->n_fields; i++) {
        size_t at = (*hint + i) % type->n_fields;
        if (has_key(&type->fields[at], key, n_key)) {
            *hint = at + 1;
            return &type->fields[at];
        }
    }
    return NULL;
}

void rpc_field_set_present(const struct rpc_field *field, void *object)
{
    if (field->flag_offset != RPC_FIELD_NOWHERE) {
        bool flag = true;
        memcpy((char *)object + field->flag_offset, &flag, sizeof(flag));
    }
}

/* "view.tids[3]" into `text`; the outermost of a very deep path become "…". */
static void write_path(const struct rpc_path *path, struct text *text)
{
    const struct rpc_path *shown[PATH_MAX_SHOWN];
    size_t n_shown = 0;
    for (; path && n_shown < PATH_MAX_SHOWN; path = path->outer) {
        shown[n_shown++] = path;
    }
    if (path) {
        text_append(text, "….");
    }
    for (size_t i = n_shown; i-- > 0;) {
        const struct rpc_field *field = shown[i]->field;
        text_append_bytes(text, field->quoted_key + 1, field->n_quoted_key - 3u);
        if (shown[i]->index >= 0) {
            text_printf(text, "[%ld]", shown[i]->index);
        }
        if (i > 0) {
            text_append_char(text, '.');
        }
    }
}

static int refuse(const struct rpc_path *path, const struct rpc_decoding *decoding,
                  const char *expected)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, PATH_TEXT_BYTES);
    if (path) {
        write_path(path, &text);
        text_append(&text, ": ");
    }
    error_set(decoding->error, "invalid_params", "%s%s", text.data, expected);
    return -EINVAL;
}

int rpc_field_refuse_kind(const struct rpc_field *field, const struct rpc_path *path,
                          const struct rpc_decoding *decoding)
{
    static const char *const expected[] = {
        [RPC_FIELD_BOOL] = "true or false is expected",
        [RPC_FIELD_I32] = "an integer of 32 bits is expected",
        [RPC_FIELD_I64] = "an integer of 64 bits is expected",
        [RPC_FIELD_U32] = "an integer from 0 to 4294967295 is expected",
        [RPC_FIELD_U64] = "an integer of 64 bits that is not negative is expected",
        [RPC_FIELD_F64] = "a number is expected",
        [RPC_FIELD_STRING] = "a string is expected",
        [RPC_FIELD_JSON] = "an object is expected",
        [RPC_FIELD_ENUM] = "a string is expected",
        [RPC_FIELD_STRUCT] = "an object is expected",
    };
    bool is_whole_array = field && field->is_array && path->index < 0;
    return refuse(path, decoding,
                  is_whole_array ? "an array is expected"
                  : field        ? expected[field->kind]
                                 : "an object is expected");
}

/* Whether the number fits an integer of this field's kind; its two's complement if so. */
static bool fits_integer(const struct rpc_field *field, const struct json_number *number,
                         int64_t *ret_value)
{
    bool is_wide = field->kind == RPC_FIELD_I64 || field->kind == RPC_FIELD_U64;
    bool is_signed = field->kind == RPC_FIELD_I64 || field->kind == RPC_FIELD_I32;
    uint64_t largest = is_wide ? UINT64_MAX : UINT32_MAX;
    bool is_negative = number->is_negative && number->magnitude != 0;
    if (is_signed) {
        largest = largest / 2 + (is_negative ? 1 : 0);
    } else if (is_negative) {
        return false;
    }
    if (!number->is_integer || number->magnitude > largest) {
        return false;
    }
    *ret_value = (int64_t)(is_negative ? ~number->magnitude + 1 : number->magnitude);
    return true;
}

int rpc_field_store_number(const struct rpc_field *field, const struct json_number *number,
                           const struct rpc_path *path, const struct rpc_decoding *decoding,
                           void *target)
{
    int64_t value;
    if (field->kind == RPC_FIELD_F64) {
        memcpy(target, &number->real, sizeof(number->real));
        return 0;
    }
    bool is_integer = field->kind >= RPC_FIELD_I32 && field->kind <= RPC_FIELD_U64;
    if (!is_integer || !fits_integer(field, number, &value)) {
        return rpc_field_refuse_kind(field, path, decoding);
    }
    put_integer(field, value, target);
    return 0;
}

static int store_choice(const struct rpc_field *field, const char *string,
                        const struct rpc_path *path, const struct rpc_decoding *decoding,
                        void *target)
{
    const struct rpc_enum *choice = field->choice;
    _cleanup_(text_releasep) struct text expected;
    text_init(&expected, PATH_TEXT_BYTES);
    text_append(&expected, "one of ");
    for (unsigned i = 0; i < choice->n_values; i++) {
        if (strcmp(string, choice->values[i]) == 0) {
            put_integer(field, i, target);
            return 0;
        }
        text_printf(&expected, "%s\"%s\"", i > 0 ? ", " : "", choice->values[i]);
    }
    text_append(&expected, " is expected");
    return refuse(path, decoding, expected.data);
}

int rpc_field_store_string(const struct rpc_field *field, char *string, const struct rpc_path *path,
                           const struct rpc_decoding *decoding, void *target)
{
    if (field->kind == RPC_FIELD_ENUM) {
        return store_choice(field, string, path, decoding, target);
    }
    if (field->kind != RPC_FIELD_STRING) {
        return rpc_field_refuse_kind(field, path, decoding);
    }
    memcpy(target, &string, sizeof(string));
    return 0;
}

int rpc_type_check_required(const struct rpc_type *type, uint64_t seen,
                            const struct rpc_path *outer, const struct rpc_decoding *decoding)
{
    for (size_t i = 0; i < type->n_fields; i++) {
        if (type->fields[i].is_required && !(seen >> i & 1)) {
            struct rpc_path path = {.outer = outer, .field = &type->fields[i], .index = -1};
            return refuse(&path, decoding, "it must be there");
        }
    }
    return 0;
}
