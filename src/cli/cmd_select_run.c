/* SPDX-License-Identifier: MIT */
#include <stdint.h>

#include "cli/ask_query.h"
#include "cli/command.h"
#include "cli/complain.h"
#include "cli/quantity.h"
#include "cli/render.h"
#include "cli/run_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

struct select_run_options {
    struct run_options run;
    struct server_options server;
};

static void render(const void *result, const struct terminal *terminal, struct text *text)
{
    (void)terminal;
    text_append(text, "selected ");
    render_run_line(result, text);
    text_append_char(text, '\n');
}

static int run_select_run(const struct invocation *invocation)
{
    const struct select_run_options *options = invocation->values;
    int64_t id;
    if (quantity_parse_integer(invocation->operands[0], &id) < 0 || id < 1 || id > UINT32_MAX) {
        return complain_usage(invocation->command, "'%s' is not a run's id; see stax list",
                              invocation->operands[0]);
    }
    struct run_request request = {.run = (run_id)id};
    struct run_info result = {0};
    const struct query_page page = {
        .question =
            {
                .server = &options->server,
                .wants_json = options->run.json,
                .method = "run.select",
                .params_type = &rpc_type_run_request,
                .params = &request,
                .result_type = &rpc_type_run_info,
                .result = &result,
            },
        .render = render,
    };
    return ask_query(&page, invocation->arena);
}

const struct command command_select_run = {
    .name = "select-run",
    .summary = "choose the run that queries see",
    .description = "Makes a stopped run the one that queries see while no run is active.",
    .operands = "ID",
    .min_operands = 1,
    .max_operands = 1,
    .options =
        {
            .groups =
                {
                    {
                        .title = "Options",
                        .specs = run_option_specs,
                        .n_specs = RUN_OPTION_JSON_N,
                        .offset = offsetof(struct select_run_options, run),
                    },
                    SERVER_OPTION_GROUP(struct select_run_options),
                },
            .values_bytes = sizeof(struct select_run_options),
        },
    .examples = "  stax select-run 2\n",
    .run = run_select_run,
};
