/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * ask - one question to the server, and its answer on stdout
 *
 * Owner:   results lie in the arena.
 * Threads: one.
 */

#include <stdbool.h>

#include "base/arena.h"
#include "base/text.h"
#include "cli/server_options.h"

struct question {
    const struct server_options *server;
    bool wants_json; /* print the answer as it came */
    const char *method;
    const struct rpc_type *params_type; /* NULL: no parameters */
    const void *params;
    const struct rpc_type *result_type; /* NULL: the answer is not decoded */
    void *result;
};

/* Asks, and says what went wrong. Returns EXIT_CODE_DONE or EXIT_CODE_FAILED. */
int ask(const struct question *question, struct arena *arena);

/* As ask(), over a connection that stands. */
int ask_over(struct rpc_client *client, const struct question *question, struct arena *arena);

/* Writes to stdout. Returns EXIT_CODE_DONE, or EXIT_CODE_FAILED after saying why. */
int ask_print(const struct text *text);

/* Writes a hint to stderr; NULL is none. */
void ask_print_hint(const char *hint);
