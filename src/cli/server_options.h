/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * server_options - which server a command talks to, and how to reach it
 *
 * Owner:   values are borrowed from argv.
 * Threads: one.
 */

#include <stdbool.h>

#include "base/error.h"
#include "cli/options.h"
#include "rpc/client.h"

struct server_options {
    const char *socket; /* --server */
    unsigned colour;    /* enum colour_choice */
};

#define SERVER_OPTION_N 2
extern const struct option_spec server_option_specs[SERVER_OPTION_N];

/* The group as a row of option_table.groups; `type` has a member `server`. */
#define SERVER_OPTION_GROUP(type)                                                                  \
    {                                                                                              \
        .title = "Common options", .specs = server_option_specs, .n_specs = SERVER_OPTION_N,       \
        .offset = offsetof(type, server)                                                           \
    }

/*
 * Connects to a server that runs. 0, or what rpc_client_connect() returns;
 * where nobody listens the error says how to start one.
 */
int server_options_connect(const struct server_options *options, struct rpc_client **ret_client,
                           struct error *reterr_error);

/* Did the connection fail because no server runs there? */
bool server_options_is_absent(int negative_errno);
