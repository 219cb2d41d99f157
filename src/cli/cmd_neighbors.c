/* SPDX-License-Identifier: MIT */
#include "cli/ask_query.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/view_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

struct neighbors_options {
    struct option_number limit;
    struct view_options view;
    struct server_options server;
};

static const struct option_spec specs[] = {
    LIMIT_OPTION(struct neighbors_options, "callers, and as many callees"),
};

static void render(const void *result, const struct terminal *terminal, struct text *text)
{
    render_neighbors(result, terminal, text);
}

static int run_neighbors(const struct invocation *invocation)
{
    const struct neighbors_options *options = invocation->values;
    struct neighbors_request request = {
        .view = view_options_view(&options->view),
        .function = invocation->operands[0],
        .limit = (uint32_t)options->limit.value,
    };
    struct neighbors_result result = {.choice = NULL};
    const struct query_page page = {
        .question =
            {
                .server = &options->server,
                .wants_json = options->view.json,
                .method = "profile.neighbors",
                .params_type = &rpc_type_neighbors_request,
                .params = &request,
                .result_type = &rpc_type_neighbors_result,
                .result = &result,
            },
        .render = render,
        .choice = &result.choice,
    };
    return ask_query(&page, invocation->arena);
}

const struct command command_neighbors = {
    .name = "neighbors",
    .summary = "who calls a function, and what it calls",
    .description =
        "Prints the callers and the callees of a function by weight, also while the run is\n"
        "recorded. NAME is its name, or part of it whatever the case, and then means the\n"
        "hottest function that fits; 0xADDR is an address in it. A recursive function counts\n"
        "once per stack: the callers sum to its total, the callees and its self do too.",
    .operands = "NAME|0xADDR",
    .min_operands = 1,
    .max_operands = 1,
    .options =
        {
            .groups =
                {
                    {.title = "Options", OPTION_SPECS(specs)},
                    VIEW_OPTION_GROUP(struct neighbors_options),
                    SERVER_OPTION_GROUP(struct neighbors_options),
                },
            .values_bytes = sizeof(struct neighbors_options),
        },
    .examples = "  stax neighbors malloc\n"
                "  stax neighbors 0x12f40 --tid 4712 --json\n",
    .run = run_neighbors,
};
