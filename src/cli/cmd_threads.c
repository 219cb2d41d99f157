/* SPDX-License-Identifier: MIT */
#include "cli/ask_query.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/view_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

struct threads_options {
    struct option_number limit;
    struct view_options view;
    struct server_options server;
};

static const struct option_spec specs[] = {
    LIMIT_OPTION(struct threads_options, "threads"),
};

static void render(const void *result, const struct terminal *terminal, struct text *text)
{
    render_threads(result, terminal, text);
}

static int run_threads(const struct invocation *invocation)
{
    const struct threads_options *options = invocation->values;
    struct threads_request request = {
        .view = view_options_view(&options->view),
        .limit = (uint32_t)options->limit.value,
    };
    struct threads_result result = {0};
    const struct query_page page = {
        .question =
            {
                .server = &options->server,
                .wants_json = options->view.json,
                .method = "profile.threads",
                .params_type = &rpc_type_threads_request,
                .params = &request,
                .result_type = &rpc_type_threads_result,
                .result = &result,
            },
        .render = render,
        .hint = &result.hint,
    };
    return ask_query(&page, invocation->arena);
}

const struct command command_threads = {
    .name = "threads",
    .summary = "what each thread did with its time",
    .description =
        "Prints each thread's time on a CPU (exact, from the scheduler), blocked (off-CPU) and\n"
        "waiting for a CPU (runq), and for what it was blocked the longest; the busiest first,\n"
        "also while the run is recorded. Lanes of the program's own spans stand below them.",
    .options =
        {
            .groups =
                {
                    {.title = "Options", OPTION_SPECS(specs)},
                    VIEW_OPTION_GROUP(struct threads_options),
                    SERVER_OPTION_GROUP(struct threads_options),
                },
            .values_bytes = sizeof(struct threads_options),
        },
    .examples = "  stax threads\n"
                "  stax threads -n 0 --from -10           # all of them, the last ten seconds\n",
    .run = run_threads,
};
