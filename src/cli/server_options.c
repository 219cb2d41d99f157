/* SPDX-License-Identifier: MIT */
#include "cli/server_options.h"

#include <errno.h>
#include <limits.h>

#include "rpc/socket_path.h"

/* In the order of enum colour_choice. */
static const char *const colour_choices[] = {"auto", "always", "never", NULL};

const struct option_spec server_option_specs[SERVER_OPTION_N] = {
    {
        .name = "server",
        .kind = OPTION_TEXT,
        .value_name = "PATH",
        .summary = "the server's socket",
        .offset = offsetof(struct server_options, socket),
    },
    {
        .name = "color",
        .kind = OPTION_CHOICE,
        .value_name = "WHEN",
        .fallback = "auto",
        .choices = colour_choices,
        .summary = "auto, always or never",
        .offset = offsetof(struct server_options, colour),
    },
};

bool server_options_is_absent(int negative_errno)
{
    return negative_errno == -ENOENT || negative_errno == -ECONNREFUSED;
}

int server_options_connect(const struct server_options *options, struct rpc_client **ret_client,
                           struct error *reterr_error)
{
    char path[PATH_MAX];
    int r = rpc_socket_path(options->socket, path, sizeof(path), reterr_error);
    if (r < 0) {
        return r;
    }
    r = rpc_client_connect(path, ret_client, reterr_error);
    if (server_options_is_absent(r)) {
        error_set(reterr_error, "no_server", "stax-server isn't running");
        error_hint(reterr_error,
                   "'stax record' starts it by itself; to start it by hand: stax-server &");
    }
    return r;
}
