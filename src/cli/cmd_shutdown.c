/* SPDX-License-Identifier: MIT */
#include "cli/ask.h"
#include "cli/command.h"

struct shutdown_options {
    struct server_options server;
};

static int run_shutdown(const struct invocation *invocation)
{
    const struct shutdown_options *options = invocation->values;
    struct question question = {
        .server = &options->server,
        .method = "server.shutdown",
    };
    return ask(&question, invocation->arena);
}

const struct command command_shutdown = {
    .name = "shutdown",
    .summary = "end the server and forget its runs",
    .description = "Asks the server to end. An active recording is stopped, its target goes on; "
                   "all runs are\nforgotten.",
    .options =
        {
            .groups = {SERVER_OPTION_GROUP(struct shutdown_options)},
            .values_bytes = sizeof(struct shutdown_options),
        },
    .examples = "  stax shutdown\n",
    .run = run_shutdown,
};
