/* SPDX-License-Identifier: MIT */
#include "cli/ask_query.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/run_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

struct diagnose_options {
    struct run_options run;
    struct server_options server;
};

static void render(const void *result, const struct terminal *terminal, struct text *text)
{
    render_diagnose(result, terminal, text);
}

static int run_diagnose(const struct invocation *invocation)
{
    const struct diagnose_options *options = invocation->values;
    struct diagnose_request request = {
        .run = options->run.run.is_given ? (run_id)options->run.run.value : 0,
    };
    struct diagnose_result result = {0};
    const struct query_page page = {
        .question =
            {
                .server = &options->server,
                .wants_json = options->run.json,
                .method = "server.diagnostics",
                .params_type = &rpc_type_diagnose_request,
                .params = &request,
                .result_type = &rpc_type_diagnose_result,
                .result = &result,
            },
        .render = render,
    };
    return ask_query(&page, invocation->arena);
}

const struct command command_diagnose = {
    .name = "diagnose",
    .summary = "how well the recording itself works",
    .description =
        "Prints the pipeline's own accounting: events read and lost, stacks complete or cut,\n"
        "where the names come from, and a hint for each thing that looks wrong.",
    .options =
        {
            .groups =
                {
                    {
                        .title = "Options",
                        OPTION_SPECS(run_option_specs),
                        .offset = offsetof(struct diagnose_options, run),
                    },
                    SERVER_OPTION_GROUP(struct diagnose_options),
                },
            .values_bytes = sizeof(struct diagnose_options),
        },
    .examples = "  stax diagnose\n"
                "  stax diagnose --run 2 --json\n",
    .run = run_diagnose,
};
