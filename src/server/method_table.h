/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * method_table - which function answers which method
 *
 * schema/ says what a method takes and gives; this table says who does it.
 *
 * Owner:   constants.
 * Threads: the main loop.
 * Tests:   method_table_test.c
 */

#include "server/call.h"

/* Settles the call, now or later. */
typedef void (*method_handler_cb)(struct call *call);

struct method_entry {
    const char *name;
    method_handler_cb handler;
    bool is_long; /* may take as long as it likes: not one of the connection's jobs */
};

/* NULL when there is no such method. */
const struct method_entry *method_table_find(const char *name);

/* One line from a client: parse, look up, decode, check, hand to the handler; or answer the error.
 */
void method_dispatch(struct server *server, struct connection *connection, const char *line,
                     size_t n_bytes);
