/* SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "cli/ask.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/view_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

struct flame_options {
    struct option_number depth;
    double threshold_pct;
    struct view_options view;
    struct server_options server;
};

static const struct option_spec specs[] = {
    {
        .letter = 'd',
        .kind = OPTION_INTEGER,
        .value_name = "DEPTH",
        .fallback = "12",
        .summary = "as many levels; 0: all",
        .min = 0,
        .max = INT32_MAX,
        .offset = offsetof(struct flame_options, depth),
    },
    {
        .name = "threshold-pct",
        .kind = OPTION_PERCENT,
        .value_name = "PCT",
        .fallback = "1.0",
        .summary = "without subtrees below this share of the whole",
        .offset = offsetof(struct flame_options, threshold_pct),
    },
};

static int run_flame(const struct invocation *invocation)
{
    const struct flame_options *options = invocation->values;
    struct flame_request request = {
        .view = view_options_view(&options->view),
        .max_depth = (uint32_t)options->depth.value,
        .threshold_pct = options->threshold_pct,
    };
    struct flame_result result = {0};
    struct question question = {
        .server = &options->server,
        .wants_json = options->view.json,
        .method = "profile.flame",
        .params_type = &rpc_type_flame_request,
        .params = &request,
        .result_type = options->view.json ? NULL : &rpc_type_flame_result,
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
    render_flame(&result, &terminal, &text);
    code = ask_print(&text);
    ask_print_hint(result.hint);
    return code;
}

const struct command command_flame = {
    .name = "flame",
    .summary = "the call tree, callers above callees",
    .description =
        "Prints the call tree of a run, indented, the heaviest child first; also while the run\n"
        "is recorded. What is cut ends in \"…N more frames\".",
    .options =
        {
            .groups =
                {
                    {.title = "Options", OPTION_SPECS(specs)},
                    VIEW_OPTION_GROUP(struct flame_options),
                    SERVER_OPTION_GROUP(struct flame_options),
                },
            .values_bytes = sizeof(struct flame_options),
        },
    .examples = "  stax flame\n"
                "  stax flame -d 0 --threshold-pct 0      # the whole tree\n"
                "  stax flame --tid 4712 --from 2.5 --to 3\n",
    .run = run_flame,
};
