/* SPDX-License-Identifier: MIT */
#include "cli/ask_query.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/run_options.h"
#include "rpc/tables.h"

struct status_options {
    struct run_options run;
    struct server_options server;
};

static void render(const void *result, const struct terminal *terminal, struct text *text)
{
    render_status(result, terminal, text);
}

static int run_status(const struct invocation *invocation)
{
    const struct status_options *options = invocation->values;
    struct status_result result = {0};
    const struct query_page page = {
        .question =
            {
                .server = &options->server,
                .wants_json = options->run.json,
                .method = "run.status",
                .result_type = &rpc_type_status_result,
                .result = &result,
            },
        .render = render,
    };
    return ask_query(&page, invocation->arena);
}

const struct command command_status = {
    .name = "status",
    .summary = "the server, this host's abilities, the active run",
    .description = "Prints the server's version and start, what this host allows to be recorded "
                   "(with the\nfix for what it does not), the active and the selected run.",
    .options =
        {
            .groups =
                {
                    {
                        .title = "Options",
                        .specs = run_option_specs,
                        .n_specs = RUN_OPTION_JSON_N,
                        .offset = offsetof(struct status_options, run),
                    },
                    SERVER_OPTION_GROUP(struct status_options),
                },
            .values_bytes = sizeof(struct status_options),
        },
    .examples = "  stax status\n"
                "  stax status --json | jq .active\n",
    .run = run_status,
};
