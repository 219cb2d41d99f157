/* SPDX-License-Identifier: MIT */
#include "cli/ask_query.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/view_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

#define TEXT_FRAMES 32 /* of a stack; no more is shown */

struct wakers_options {
    struct option_number limit;
    bool by_stack, chain;
    struct view_options view;
    struct server_options server;
};

static const struct option_spec specs[] = {
    LIMIT_OPTION(struct wakers_options, "rows"),
    {
        .name = "by-stack",
        .kind = OPTION_FLAG,
        .summary = "a row for each stack of a waker, too",
        .offset = offsetof(struct wakers_options, by_stack),
    },
    {
        .name = "chain",
        .kind = OPTION_FLAG,
        .summary = "also who mostly woke the thread, who mostly woke that one, …",
        .offset = offsetof(struct wakers_options, chain),
    },
};

static void render(const void *result, const struct terminal *terminal, struct text *text)
{
    render_wakers(result, terminal, text);
}

static int run_wakers(const struct invocation *invocation)
{
    const struct wakers_options *options = invocation->values;
    struct wakers_request request = {
        .view = view_options_view(&options->view),
        .by_stack = options->by_stack,
        .chain = options->chain,
        .limit = (uint32_t)options->limit.value,
        .max_frames = options->view.json ? 0 : TEXT_FRAMES,
    };
    struct wakers_result result = {0};
    const struct query_page page = {
        .question =
            {
                .server = &options->server,
                .wants_json = options->view.json,
                .method = "profile.wakers",
                .params_type = &rpc_type_wakers_request,
                .params = &request,
                .result_type = &rpc_type_wakers_result,
                .result = &result,
            },
        .render = render,
        .hint = &result.hint,
    };
    return ask_query(&page, invocation->arena);
}

const struct command command_wakers = {
    .name = "wakers",
    .summary = "who woke whom, and how much waiting that ended",
    .description =
        "Prints who woke whom: how often, how much waiting that ended, how long it then took to a\n"
        "CPU, and from where; also while the run is recorded. --tid is who was woken. Timers and\n"
        "interrupts are no thread, whatever ran when they came.",
    .options =
        {
            .groups =
                {
                    {.title = "Options", OPTION_SPECS(specs)},
                    VIEW_OPTION_GROUP(struct wakers_options),
                    SERVER_OPTION_GROUP(struct wakers_options),
                },
            .values_bytes = sizeof(struct wakers_options),
        },
    .examples = "  stax wakers\n"
                "  stax wakers --tid 4712 --by-stack      # who woke this thread, from where\n"
                "  stax wakers --tid 4712 --chain         # and who woke those\n",
    .run = run_wakers,
};
