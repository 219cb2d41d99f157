/* SPDX-License-Identifier: MIT */
#include "cli/ask_query.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/view_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

struct timeline_options {
    struct option_number limit;
    struct option_number buckets;
    struct view_options view;
    struct server_options server;
};

static const struct option_spec specs[] = {
    LIMIT_OPTION(struct timeline_options, "threads"),
    {
        .name = "buckets",
        .kind = OPTION_INTEGER,
        .value_name = "N",
        .fallback = "60",
        .summary = "into how many parts the range is cut",
        .min = 1,
        .max = 10000,
        .offset = offsetof(struct timeline_options, buckets),
    },
};

static void render(const void *result, const struct terminal *terminal, struct text *text)
{
    render_timeline(result, terminal, text);
}

static int run_timeline(const struct invocation *invocation)
{
    const struct timeline_options *options = invocation->values;
    struct timeline_request request = {
        .view = view_options_view(&options->view),
        .buckets = (uint32_t)options->buckets.value,
        .limit = (uint32_t)options->limit.value,
    };
    struct timeline_result result = {0};
    const struct query_page page = {
        .question =
            {
                .server = &options->server,
                .wants_json = options->view.json,
                .method = "profile.timeline",
                .params_type = &rpc_type_timeline_request,
                .params = &request,
                .result_type = &rpc_type_timeline_result,
                .result = &result,
            },
        .render = render,
        .hint = &result.hint,
    };
    return ask_query(&page, invocation->arena);
}

const struct command command_timeline = {
    .name = "timeline",
    .summary = "what each thread did when",
    .description =
        "Prints a line for each thread, the busiest first: the range is cut into parts of equal\n"
        "length, and the higher the block, the more of it the thread was on a CPU. Exact, from "
        "the\n"
        "scheduler; also while the run is recorded. Lanes of the program's own spans stand below.",
    .options =
        {
            .groups =
                {
                    {.title = "Options", OPTION_SPECS(specs)},
                    VIEW_OPTION_GROUP(struct timeline_options),
                    SERVER_OPTION_GROUP(struct timeline_options),
                },
            .values_bytes = sizeof(struct timeline_options),
        },
    .examples = "  stax timeline\n"
                "  stax timeline --buckets 100 --from -10 # the last ten seconds\n",
    .run = run_timeline,
};
