/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * fields - plain structs to JSON and back, by tables made from schema/
 *
 * schema/ describes each struct of model/ member by member; tools/gen-schema
 * turns it into tables of offsets (rpc/tables.c, with a _Static_assert per
 * member), and these two functions walk them. Nobody writes an encoder by hand.
 *
 * How:     fields_encode.c writes, fields_tree.c and fields_text.c read, and
 *          fields.c holds what both readers do alike.
 * Owner:   decoded strings and arrays lie in the arena that the caller passes.
 * Threads: any; tables are constant.
 * Source:  docs/design/0005-schema.md
 * Tests:   fields_encode_test.c, fields_decode_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

struct rpc_type; /* rpc/tables.h has one constant per struct: rpc_type_top_result, … */
struct json_t;
struct json_scan;

/*
 * Appends `object` as one JSON value. Strings that are NULL and members whose
 * flag is false are left out.
 */
void rpc_encode(const struct rpc_type *type, const void *object, struct text *text);

/*
 * Fills `object` from JSON (NULL: an empty object). Unknown members are
 * ignored, missing ones and nulls get their default; a wrong type, a number
 * that does not fit or a missing required member is -EINVAL with code
 * "invalid_params" and the member's path in the message. -ENOMEM.
 */
int rpc_decode(const struct rpc_type *type, const struct json_t *json, struct arena *arena,
               void *object, struct error *reterr_error);

/*
 * As rpc_decode(), from the text of the value at the cursor, without a tree:
 * for answers, which may be megabytes and nested as deep as a stack. -EBADMSG
 * where it is not JSON (scan->failure says why).
 */
int rpc_decode_text(const struct rpc_type *type, struct json_scan *scan, struct arena *arena,
                    void *object, struct error *reterr_error);

/* Zeros and the schema's defaults: what an empty object decodes to. */
void rpc_set_defaults(const struct rpc_type *type, void *object);
