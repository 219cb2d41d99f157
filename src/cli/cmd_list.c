/* SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "cli/ask.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/run_options.h"
#include "rpc/tables.h"

struct list_options {
    struct run_options run;
    struct server_options server;
};

static int run_list(const struct invocation *invocation)
{
    const struct list_options *options = invocation->values;
    struct run_list_result result = {0};
    struct question question = {
        .server = &options->server,
        .wants_json = options->run.json,
        .method = "run.list",
        .result_type = options->run.json ? NULL : &rpc_type_run_list_result,
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
    render_list(&result, &terminal, &text);
    if (result.n_runs == 0) {
        ask_print_hint("no runs yet; record one: stax record -- COMMAND");
    }
    return ask_print(&text);
}

const struct command command_list = {
    .name = "list",
    .summary = "every run that the server holds",
    .description = "Prints every run that this server has hosted, oldest first.",
    .options =
        {
            .groups =
                {
                    {
                        .title = "Options",
                        .specs = run_option_specs,
                        .n_specs = RUN_OPTION_JSON_N,
                        .offset = offsetof(struct list_options, run),
                    },
                    SERVER_OPTION_GROUP(struct list_options),
                },
            .values_bytes = sizeof(struct list_options),
        },
    .examples = "  stax list\n"
                "  stax list --json | jq -r '.runs[].command'\n",
    .run = run_list,
};
