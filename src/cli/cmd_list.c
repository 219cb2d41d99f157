/* SPDX-License-Identifier: MIT */
#include "cli/ask_query.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/run_options.h"
#include "rpc/tables.h"

struct list_options {
    struct run_options run;
    struct server_options server;
};

static void render(const void *result, const struct terminal *terminal, struct text *text)
{
    render_list(result, terminal, text);
}

static int run_list(const struct invocation *invocation)
{
    const struct list_options *options = invocation->values;
    struct run_list_result result = {0};
    const struct query_page page = {
        .question =
            {
                .server = &options->server,
                .wants_json = options->run.json,
                .method = "run.list",
                .result_type = &rpc_type_run_list_result,
                .result = &result,
            },
        .render = render,
    };
    int code = ask_query(&page, invocation->arena);
    if (code == EXIT_CODE_DONE && !options->run.json && result.n_runs == 0) {
        ask_print_hint("no runs yet; record one: stax record -- COMMAND");
    }
    return code;
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
