/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * fields_internal - what a field table looks like
 *
 * Written by tools/gen-schema into rpc/tables.c, read by the fields_*.c files.
 *
 * Owner, Threads: constants.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jsonrpc/json_scan.h"
#include "rpc/fields.h"

enum rpc_field_kind {
    RPC_FIELD_BOOL,
    RPC_FIELD_I32,
    RPC_FIELD_I64,
    RPC_FIELD_U32,
    RPC_FIELD_U64,
    RPC_FIELD_F64,
    RPC_FIELD_STRING,
    RPC_FIELD_JSON, /* a string that holds one JSON value, carried as it is */
    RPC_FIELD_ENUM,
    RPC_FIELD_STRUCT,
};

#define RPC_FIELD_NOWHERE UINT32_MAX
#define RPC_TYPE_MAX_FIELDS 64 /* one bit each while decoding */

struct rpc_enum {
    const char *name;
    unsigned n_values;
    const char *const *values; /* by C value, which are 0, 1, 2 … */
};

struct rpc_field {
    const char *quoted_key; /* `"name":` */
    uint8_t n_quoted_key;
    enum rpc_field_kind kind;
    bool is_array;
    bool is_required;
    uint32_t offset;
    uint32_t count_offset; /* of an array: its size_t */
    uint32_t flag_offset; /* of the bool that says whether it is there; RPC_FIELD_NOWHERE: always */
    const struct rpc_type *type;   /* of a struct */
    const struct rpc_enum *choice; /* of an enum */
    int64_t default_integer;       /* of bool, integers and enums */
    double default_real;
};

struct rpc_type {
    const char *name;
    size_t size_bytes;
    size_t n_fields;
    const struct rpc_field *fields;
};

/* Where a value is, for error messages: a list from the inside out. */
struct rpc_path {
    const struct rpc_path *outer;
    const struct rpc_field *field;
    long index; /* in an array; -1: not in one */
};

/* One decoding: what all its steps share. */
struct rpc_decoding {
    struct arena *arena;
    struct error *error; /* may be NULL */
};

/* Bytes of one element of an array of this field. */
size_t rpc_field_element_bytes(const struct rpc_field *field);

/* The field with this name, or NULL. Tried first: the one at *hint, which becomes the one after it.
 */
const struct rpc_field *rpc_type_find_field(const struct rpc_type *type, const char *key,
                                            size_t *hint);

/* -EINVAL with the first required field that `seen` (a bit per field) lacks; else 0. */
int rpc_type_check_required(const struct rpc_type *type, uint64_t seen,
                            const struct rpc_path *outer, const struct rpc_decoding *decoding);

/* Marks a field with a flag as being there. */
void rpc_field_set_present(const struct rpc_field *field, void *object);

/* Store a value into `target`, of the field's kind; -EINVAL where it does not fit. */
int rpc_field_store_number(const struct rpc_field *field, const struct json_number *number,
                           const struct rpc_path *path, const struct rpc_decoding *decoding,
                           void *target);
int rpc_field_store_string(const struct rpc_field *field, char *string, const struct rpc_path *path,
                           const struct rpc_decoding *decoding, void *target);

/* Sets "invalid_params" with the path and what is expected there; returns -EINVAL. */
int rpc_field_refuse_kind(const struct rpc_field *field, const struct rpc_path *path,
                          const struct rpc_decoding *decoding);
