/* SPDX-License-Identifier: MIT */
#include "cli/ask_query.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/view_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

#define TEXT_FRAMES 32 /* of a stack; no more is shown */

struct why_options {
    struct option_number limit;
    struct view_options view;
    struct server_options server;
};

static const struct option_spec specs[] = {
    LIMIT_OPTION(struct why_options, "segments, and rows of the sums"),
};

static void render(const void *result, const struct terminal *terminal, struct text *text)
{
    render_why(result, terminal, text);
}

static int run_why(const struct invocation *invocation)
{
    const struct why_options *options = invocation->values;
    struct why_request request = {
        .view = view_options_view(&options->view),
        .limit = (uint32_t)options->limit.value,
        .max_frames = options->view.json ? 0 : TEXT_FRAMES,
    };
    struct why_result result = {0};
    const struct query_page page = {
        .question =
            {
                .server = &options->server,
                .wants_json = options->view.json,
                .method = "profile.why",
                .params_type = &rpc_type_why_request,
                .params = &request,
                .result_type = &rpc_type_why_result,
                .result = &result,
            },
        .render = render,
        .hint = &result.hint,
    };
    return ask_query(&page, invocation->arena);
}

const struct command command_why = {
    .name = "why",
    .summary = "the critical path: what the end had to wait for",
    .description =
        "Goes back from the end of the range: while the thread ran, that is what the time went "
        "to;\n"
        "while it was blocked, what the thread did that then woke it. The path covers the range\n"
        "without gap or overlap. It begins with the thread that ran last, or the one that --tid\n"
        "names; also while the run is recorded.",
    .options =
        {
            .groups =
                {
                    {.title = "Options", OPTION_SPECS(specs)},
                    VIEW_OPTION_GROUP(struct why_options),
                    SERVER_OPTION_GROUP(struct why_options),
                },
            .values_bytes = sizeof(struct why_options),
        },
    .examples = "  stax why\n"
                "  stax why --tid 4712 --from 2.5 --to 3  # what held this thread up\n"
                "  stax why -n 0 --json\n",
    .run = run_why,
};
