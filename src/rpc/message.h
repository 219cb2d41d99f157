/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * message - whole JSON-RPC documents, one line each
 *
 * Shape:   each function appends one document and its newline (white space to
 *          a WebSocket). `id` is JSON text, as jsonrpc_request has it.
 * Owner:   borrows everything; check text->is_cut afterwards, and do not send
 *          what is cut: clear the text and append message_error() with "limit".
 * Threads: any.
 * Tests:   message_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"
#include "rpc/fields.h"

/* type NULL: the result is {}. */
void message_result(struct text *text, const char *id, const struct rpc_type *type,
                    const void *object);

/* The result is `json`, one complete value (rpc.discover, or what a cache holds). */
void message_result_json(struct text *text, const char *id, const char *json, size_t n_bytes);

void message_error(struct text *text, const char *id, const struct error *error);

/* The notification `update {subscription, sequence, result}`. */
void message_update(struct text *text, uint64_t subscription, uint64_t sequence,
                    const struct rpc_type *type, const void *object);
void message_update_json(struct text *text, uint64_t subscription, uint64_t sequence,
                         const char *json, size_t n_bytes);

/* type NULL: no params. */
void message_request(struct text *text, uint64_t id, const char *method,
                     const struct rpc_type *type, const void *params);
