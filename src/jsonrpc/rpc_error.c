/* SPDX-License-Identifier: MIT */

#include "jsonrpc/rpc_error.h"

#include <stdio.h>
#include <string.h>

#define STRINGS_MAX_BYTES (64u << 10) /* of one error object of a server that we did not write */

enum rpc_error_number rpc_error_number(const char *code)
{
    static const struct {
        const char *code;
        enum rpc_error_number number;
    } standard[] = {
        {"parse_error", RPC_ERROR_PARSE},          {"invalid_request", RPC_ERROR_INVALID_REQUEST},
        {"not_found", RPC_ERROR_METHOD_NOT_FOUND}, {"invalid_params", RPC_ERROR_INVALID_PARAMS},
        {"internal", RPC_ERROR_INTERNAL},
    };
    for (size_t i = 0; i < sizeof(standard) / sizeof(standard[0]); i++) {
        if (strcmp(code, standard[i].code) == 0) {
            return standard[i].number;
        }
    }
    return RPC_ERROR_FAILED;
}

void rpc_error_write(struct json_writer *writer, const struct error *error)
{
    json_write_object_begin(writer);
    json_write_key(writer, "code");
    json_write_i64(writer, rpc_error_number(error->code));
    json_write_key(writer, "message");
    json_write_string(writer, error->message);
    json_write_key(writer, "data");
    json_write_object_begin(writer);
    json_write_key(writer, "code");
    json_write_string(writer, error->code);
    if (error->hint[0]) {
        json_write_key(writer, "hint");
        json_write_string(writer, error->hint);
    }
    json_write_object_end(writer);
    json_write_object_end(writer);
}

static void read_text(struct json_scan *scan, struct arena *arena, char *ret_text, size_t size)
{
    char *string;
    if (json_scan_kind(scan) != JSON_KIND_STRING) {
        (void)json_scan_skip(scan, NULL, NULL);
    } else if (json_scan_string(scan, arena, &string)) {
        snprintf(ret_text, size, "%s", string);
    }
}

static void read_data(struct json_scan *scan, struct arena *arena, struct error *error)
{
    char key[16];
    if (json_scan_kind(scan) != JSON_KIND_OBJECT) {
        (void)json_scan_skip(scan, NULL, NULL);
        return;
    }
    (void)json_scan_enter(scan, '{');
    while (json_scan_next_member(scan, key, sizeof(key))) {
        if (strcmp(key, "code") == 0) {
            read_text(scan, arena, error->code, sizeof(error->code));
        } else if (strcmp(key, "hint") == 0) {
            read_text(scan, arena, error->hint, sizeof(error->hint));
        } else {
            (void)json_scan_skip(scan, NULL, NULL);
        }
    }
}

void rpc_error_read(struct json_scan *scan, struct error *ret_error)
{
    char key[16];
    struct arena arena;
    arena_init(&arena, STRINGS_MAX_BYTES);
    error_set(ret_error, "internal", "the server gave no reason");
    (void)json_scan_enter(scan, '{');
    while (json_scan_next_member(scan, key, sizeof(key))) {
        if (strcmp(key, "message") == 0) {
            read_text(scan, &arena, ret_error->message, sizeof(ret_error->message));
        } else if (strcmp(key, "data") == 0) {
            read_data(scan, &arena, ret_error);
        } else {
            (void)json_scan_skip(scan, NULL, NULL);
        }
    }
    arena_release(&arena);
}
