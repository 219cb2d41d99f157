/* SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "cli/ask.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/view_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

struct top_options {
    struct option_number limit;
    unsigned sort; /* enum top_sort */
    struct view_options view;
    struct server_options server;
};

/* In the order of enum top_sort. */
static const char *const sorts[] = {"self", "total", NULL};

static const struct option_spec specs[] = {
    {
        .letter = 'n',
        .kind = OPTION_INTEGER,
        .value_name = "N",
        .fallback = "20",
        .summary = "as many functions; 0: all",
        .min = 0,
        .max = INT32_MAX,
        .offset = offsetof(struct top_options, limit),
    },
    {
        .name = "sort",
        .kind = OPTION_CHOICE,
        .value_name = "BY",
        .fallback = "self",
        .choices = sorts,
        .summary = "self: innermost frame; total: anywhere on the stack",
        .offset = offsetof(struct top_options, sort),
    },
};

static int run_top(const struct invocation *invocation)
{
    const struct top_options *options = invocation->values;
    struct top_request request = {
        .view = view_options_view(&options->view),
        .sort = (enum top_sort)options->sort,
        .limit = (uint32_t)options->limit.value,
    };
    struct top_result result = {0};
    struct question question = {
        .server = &options->server,
        .wants_json = options->view.json,
        .method = "profile.top",
        .params_type = &rpc_type_top_request,
        .params = &request,
        .result_type = options->view.json ? NULL : &rpc_type_top_result,
        .result = &result,
    };
    int code = ask(&question, invocation->arena);
    if (code != EXIT_CODE_DONE || options->view.json) {
        return code;
    }
    struct terminal terminal;
    terminal_probe(STDOUT_FILENO, options->server.colour, &terminal);
    _cleanup_(text_releasep) struct text text;
    text_init(&text, RENDER_MAX_BYTES);
    render_top(&result, &terminal, &text);
    code = ask_print(&text);
    ask_print_hint(result.hint);
    return code;
}

const struct command command_top = {
    .name = "top",
    .summary = "the hottest functions",
    .description = "Prints the functions that took the most time on a CPU, also while the run is "
                   "recorded.\nA recursive function counts once per stack.",
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
                "  stax top --sort total --from -5        # the last five seconds\n"
                "  stax top --focus parse --exclude malloc --json\n",
    .run = run_top,
};
