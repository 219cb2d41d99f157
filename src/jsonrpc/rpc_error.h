/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * rpc_error - struct error as JSON-RPC's error object, and back
 *
 * The code of struct error is `data.code`; the number that JSON-RPC wants
 * beside it follows from it:
 *
 *     "parse_error" −32700   "invalid_request" −32600   "not_found" −32601
 *     "invalid_params" −32602   "internal" −32603   every other code −32000
 *
 * Owner:   values.
 * Threads: any.
 * Source:  the JSON-RPC 2.0 specification, section 5.1; schema/errors.json.
 * Tests:   rpc_error_test.c
 */

#include "base/error.h"
#include "jsonrpc/json_scan.h"
#include "jsonrpc/json_write.h"

enum rpc_error_number {
    RPC_ERROR_PARSE = -32700,
    RPC_ERROR_INVALID_REQUEST = -32600,
    RPC_ERROR_METHOD_NOT_FOUND = -32601,
    RPC_ERROR_INVALID_PARAMS = -32602,
    RPC_ERROR_INTERNAL = -32603,
    RPC_ERROR_FAILED = -32000,
};

enum rpc_error_number rpc_error_number(const char *code);

/* Writes {"code":…,"message":…,"data":{"code":…,"hint":…}}; the hint only where there is one. */
void rpc_error_write(struct json_writer *writer, const struct error *error);

/* Reads what rpc_error_write() wrote, or any other server's; what is missing becomes a stand-in. */
void rpc_error_read(struct json_scan *scan, struct error *ret_error);
