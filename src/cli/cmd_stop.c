/* SPDX-License-Identifier: MIT */
#include "cli/ask.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/run_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

struct stop_options {
    struct run_options run;
    struct server_options server;
};

static int run_stop(const struct invocation *invocation)
{
    const struct stop_options *options = invocation->values;
    struct run_request request = {.run = 0};
    struct run_info result = {0};
    struct question question = {
        .server = &options->server,
        .wants_json = options->run.json,
        .method = "run.stop",
        .params_type = &rpc_type_run_request,
        .params = &request,
        .result_type = options->run.json ? NULL : &rpc_type_run_info,
        .result = &result,
    };
    int code = ask(&question, invocation->arena);
    if (code != EXIT_CODE_DONE || options->run.json) {
        return code;
    }
    _cleanup_(text_releasep) struct text text;
    text_init(&text, RENDER_MAX_BYTES);
    render_run_summary(&result, NULL, &text);
    code = ask_print(&text);
    ask_print_hint("next: stax top · stax flame · stax threads");
    return code;
}

const struct command command_stop = {
    .name = "stop",
    .summary = "end the active recording",
    .description = "Stops the active run and prints its summary. The target goes on. Exits 1 where "
                   "no run is\nactive.",
    .options =
        {
            .groups =
                {
                    {
                        .title = "Options",
                        .specs = run_option_specs,
                        .n_specs = RUN_OPTION_JSON_N,
                        .offset = offsetof(struct stop_options, run),
                    },
                    SERVER_OPTION_GROUP(struct stop_options),
                },
            .values_bytes = sizeof(struct stop_options),
        },
    .examples = "  stax stop\n",
    .run = run_stop,
};
