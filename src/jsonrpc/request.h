/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * request - one JSON-RPC 2.0 request, checked
 *
 * Shape:   a single object with "jsonrpc":"2.0", a method of at most
 *          JSONRPC_METHOD_BYTES, params that are an object or absent, and an id
 *          that is a string, an integer or null. Batches are refused.
 * Owner:   jsonrpc_request_release() frees; method and params are borrowed from
 *          the request.
 * Threads: one per request.
 * Source:  the JSON-RPC 2.0 specification, sections 4 and 6.
 * Tests:   request_test.c; tests/fuzz/fuzz_jsonrpc.c
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "jsonrpc/json_read.h"

#define JSONRPC_ID_BYTES 400 /* an id of 64 characters, each escaped, fits */
#define JSONRPC_METHOD_BYTES 64

struct jsonrpc_request {
    struct json_t *document;
    bool is_notification;      /* no id: must not be answered, not even with an error */
    char id[JSONRPC_ID_BYTES]; /* JSON text to put into the answer; "null" where there is none */
    const char *method;
    const struct json_t *params; /* an object, or NULL where there are none */
};

/*
 * Returns 0; or -EBADMSG, -EMSGSIZE, -E2BIG, -EINVAL, -ENOMEM with
 * reterr_error set ("parse_error" or "invalid_request"). After an error
 * ret_request->id is still what the answer must carry and nothing is to be
 * released (releasing does no harm).
 */
int jsonrpc_request_parse(const char *bytes, size_t n_bytes, const struct json_limits *limits,
                          struct jsonrpc_request *ret_request, struct error *reterr_error);
void jsonrpc_request_release(struct jsonrpc_request *request);
DEFINE_RELEASEP(jsonrpc_request);
