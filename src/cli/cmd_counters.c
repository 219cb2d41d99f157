/* SPDX-License-Identifier: MIT */
#include "cli/ask_query.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/view_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

struct counters_options {
    struct option_number limit;
    unsigned by; /* enum counters_by */
    struct view_options view;
    struct server_options server;
};

/* In the order of enum counters_by. */
static const char *const things[] = {"function", "thread", NULL};

static const struct option_spec specs[] = {
    LIMIT_OPTION(struct counters_options, "rows"),
    {
        .name = "by",
        .kind = OPTION_CHOICE,
        .value_name = "BY",
        .fallback = "function",
        .choices = things,
        .summary = "a row per function or thread",
        .offset = offsetof(struct counters_options, by),
    },
};

static void render(const void *result, const struct terminal *terminal, struct text *text)
{
    render_counters(result, terminal, text);
}

static int run_counters(const struct invocation *invocation)
{
    const struct counters_options *options = invocation->values;
    struct counters_request request = {
        .view = view_options_view(&options->view),
        .by = (enum counters_by)options->by,
        .limit = (uint32_t)options->limit.value,
    };
    struct counters_result result = {0};
    const struct query_page page = {
        .question =
            {
                .server = &options->server,
                .wants_json = options->view.json,
                .method = "profile.counters",
                .params_type = &rpc_type_counters_request,
                .params = &request,
                .result_type = &rpc_type_counters_result,
                .result = &result,
            },
        .render = render,
        .hint = &result.hint,
    };
    return ask_query(&page, invocation->arena);
}

const struct command command_counters = {
    .name = "counters",
    .summary = "cycles, instructions and misses, by function or thread",
    .description =
        "Prints what the processor has counted for the threads of a run that was recorded with\n"
        "stax record --counters: cycles, instructions, instructions per cycle (IPC), reads that\n"
        "missed the first data cache, and mispredicted branches; by the function that ran, or by\n"
        "thread. ~ marks rows where the processor had too few counters for all who wanted them\n"
        "and what they missed is estimated. A - stands for what nobody counted; where the host\n"
        "has no counters at all it says why.",
    .options =
        {
            .groups =
                {
                    {.title = "Options", OPTION_SPECS(specs)},
                    VIEW_OPTION_GROUP(struct counters_options),
                    SERVER_OPTION_GROUP(struct counters_options),
                },
            .values_bytes = sizeof(struct counters_options),
        },
    .examples = "  stax counters\n"
                "  stax counters --by thread -n 0\n"
                "  stax counters --tid 4712 --from -5     # one thread, the last five seconds\n",
    .run = run_counters,
};
