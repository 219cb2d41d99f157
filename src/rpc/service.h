/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * service - parameters and results that are about the protocol itself
 *
 * What is about runs and profiles is in model/requests.h and model/results/.
 *
 * Owner:   pointers lie in the arena of whoever decoded or built them.
 * Threads: values.
 */

#include <stdint.h>

#define RPC_PROTOCOL_VERSION 1 /* counts incompatible changes of schema/ */
#define RPC_MIN_INTERVAL_DEFAULT_MS 250

struct server_info {  /* server.info → server_info */
    const char *name; /* "stax-server" */
    const char *version;
    uint32_t protocol; /* RPC_PROTOCOL_VERSION */
    int64_t pid;
    uint64_t started_at_unix_ns;
    uint64_t uptime_ns;
    const char *socket;
    uint64_t max_request_bytes;
    uint32_t max_nesting;
};

struct subscribe_request {   /* subscribe → subscription */
    const char *method;      /* one with can_subscribe */
    const char *params_json; /* its params as JSON text; NULL: none */
    uint32_t min_interval_ms;
};

struct subscription {      /* of subscribe; also what unsubscribe takes */
    uint64_t subscription; /* 1, 2, 3 … per connection */
};

struct target_hello_request { /* target.hello → target_hello_result; with a memfd beside it */
    uint32_t version;         /* of the memory; the newest that the program speaks */
    uint32_t oldest_version;  /* 0: only `version` */
};

struct target_hello_result {
    uint32_t version; /* that both speak */
};
