/* SPDX-License-Identifier: MIT */
#include "cli/ask_query.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/run_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

struct stop_options {
    struct run_options run;
    struct server_options server;
};

static void render(const void *result, const struct terminal *terminal, struct text *text)
{
    (void)terminal;
    render_run_summary(result, NULL, text);
}

static int run_stop(const struct invocation *invocation)
{
    const struct stop_options *options = invocation->values;
    struct run_request request = {.run = 0};
    struct run_info result = {0};
    static const char *const next = "next: stax top · stax flame · stax threads · stax off-cpu";
    const struct query_page page = {
        .question =
            {
                .server = &options->server,
                .wants_json = options->run.json,
                .method = "run.stop",
                .params_type = &rpc_type_run_request,
                .params = &request,
                .result_type = &rpc_type_run_info,
                .result = &result,
            },
        .render = render,
        .hint = &next,
    };
    return ask_query(&page, invocation->arena);
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
