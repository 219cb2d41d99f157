/* SPDX-License-Identifier: MIT */
#include "cli/server_reach.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cli/server_start.h"
#include "rpc/socket_path.h"

bool server_reach_is_off(const char *variable)
{
    const char *value = getenv(variable);
    return value && strcmp(value, "0") == 0;
}

int server_reach(const struct server_options *options, bool no_autostart,
                 struct rpc_client **ret_client, struct error *reterr_error)
{
    int r = server_options_connect(options, ret_client, reterr_error);
    if (!server_options_is_absent(r)) {
        return r;
    }
    if (no_autostart || server_reach_is_off("STAX_AUTOSTART")) {
        error_hint(reterr_error, "start it: stax-server & (or leave %s out)",
                   no_autostart ? "--no-autostart" : "STAX_AUTOSTART=0");
        return r;
    }
    char socket_path[PATH_MAX];
    r = rpc_socket_path(options->socket, socket_path, sizeof(socket_path), reterr_error);
    return r < 0 ? r : server_start(socket_path, ret_client, reterr_error);
}
