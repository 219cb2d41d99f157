/* SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "cli/ask.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/run_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

struct diagnose_options {
    struct run_options run;
    struct server_options server;
};

static int run_diagnose(const struct invocation *invocation)
{
    const struct diagnose_options *options = invocation->values;
    struct diagnose_request request = {
        .run = options->run.run.is_given ? (run_id)options->run.run.value : 0,
    };
    struct diagnose_result result = {0};
    struct question question = {
        .server = &options->server,
        .wants_json = options->run.json,
        .method = "server.diagnostics",
        .params_type = &rpc_type_diagnose_request,
        .params = &request,
        .result_type = options->run.json ? NULL : &rpc_type_diagnose_result,
        .result = &result,
    };
    int code = ask(&question, invocation->arena);
    if (code != EXIT_CODE_DONE || options->run.json) {
        return code;
    }
    struct terminal terminal;
    terminal_probe(STDOUT_FILENO, options->server.colour, &terminal);
    _cleanup_(text_releasep) struct text text;
    text_init(&text, RENDER_MAX_BYTES);
    render_diagnose(&result, &terminal, &text);
    return ask_print(&text);
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
