/* SPDX-License-Identifier: MIT */
#include "cli/ask_query.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/view_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

struct top_options {
    struct option_number limit;
    unsigned sort;  /* enum top_sort */
    unsigned group; /* enum top_group */
    struct view_options view;
    struct server_options server;
};

/* In the order of enum top_sort. */
static const char *const sorts[] = {"self", "total", "off-cpu", NULL};

/* In the order of enum top_group. */
static const char *const groups[] = {"function", "image", "line", NULL};

static const struct option_spec specs[] = {
    LIMIT_OPTION(struct top_options, "functions"),
    {
        .name = "sort",
        .kind = OPTION_CHOICE,
        .value_name = "BY",
        .fallback = "self",
        .choices = sorts,
        .summary = "self: innermost frame, total: anywhere, off-cpu: waits",
        .offset = offsetof(struct top_options, sort),
    },
    {
        .name = "group",
        .kind = OPTION_CHOICE,
        .value_name = "BY",
        .fallback = "function",
        .choices = groups,
        .summary = "a row per function, file (image) or source line",
        .offset = offsetof(struct top_options, group),
    },
};

static void render(const void *result, const struct terminal *terminal, struct text *text)
{
    render_top(result, terminal, text);
}

static int run_top(const struct invocation *invocation)
{
    const struct top_options *options = invocation->values;
    struct top_request request = {
        .view = view_options_view(&options->view),
        .sort = (enum top_sort)options->sort,
        .group = (enum top_group)options->group,
        .limit = (uint32_t)options->limit.value,
    };
    struct top_result result = {0};
    const struct query_page page = {
        .question =
            {
                .server = &options->server,
                .wants_json = options->view.json,
                .method = "profile.top",
                .params_type = &rpc_type_top_request,
                .params = &request,
                .result_type = &rpc_type_top_result,
                .result = &result,
            },
        .render = render,
        .hint = &result.hint,
    };
    return ask_query(&page, invocation->arena);
}

const struct command command_top = {
    .name = "top",
    .summary = "the hottest functions",
    .description =
        "Prints the functions that took the most time on a CPU, also while the run is "
        "recorded.\nA recursive function counts once per stack. Inlined functions have rows "
        "of their own.\nThe program's own spans stand among them. With --sort off-cpu the "
        "functions\n"
        "in which threads waited the longest.",
    .options =
        {
            .groups =
                {
                    {.title = "Options", OPTION_SPECS(specs)},
                    VIEW_OPTION_GROUP(struct top_options),
                    SERVER_OPTION_GROUP(struct top_options),
                },
            .values_bytes = sizeof(struct top_options),
        },
    .examples = "  stax top -n 5\n"
                "  stax top --group line                  # the hottest source lines\n"
                "  stax top --sort total --from -5        # the last five seconds\n"
                "  stax top --sort off-cpu                # where threads were blocked\n"
                "  stax top --focus parse --exclude malloc --json\n",
    .run = run_top,
};
