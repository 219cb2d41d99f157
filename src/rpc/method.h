/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * method - what can be asked, as schema/ lists it
 *
 * Owner, Threads: constants, generated into rpc/tables.c.
 * Tests:   method_test.c
 */

#include <stdbool.h>
#include <stddef.h>

#include "rpc/fields.h"

struct rpc_method {
    const char *name;              /* "profile.top" */
    const struct rpc_type *params; /* NULL: takes none */
    size_t params_bytes;           /* of the struct; 0 without one */
    const struct rpc_type *result; /* NULL: {} or, for rpc.discover, rpc_discover_json */
    size_t result_bytes;
    bool can_subscribe; /* may be the method of a subscription */
};

extern const struct rpc_method rpc_methods[]; /* by name */
extern const size_t rpc_n_methods;

/* NULL when there is no such method. */
const struct rpc_method *rpc_method_find(const char *name);

/* The OpenRPC document that rpc.discover answers; one line without its newline. */
extern const char rpc_discover_json[];
extern const size_t rpc_discover_json_bytes;
