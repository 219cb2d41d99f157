/* SPDX-License-Identifier: MIT */
#include "cli/ask_query.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/view_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

struct flame_options {
    struct option_number depth;
    double threshold_pct;
    bool invert;
    unsigned mode; /* enum view_mode */
    struct view_options view;
    struct server_options server;
};

/* In the order of enum view_mode. */
static const char *const modes[] = {"active", "cpu", "off-cpu", "wall", "target", NULL};

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
    {
        .name = "mode",
        .kind = OPTION_CHOICE,
        .value_name = "MODE",
        .fallback = "active",
        .choices = modes,
        .summary = "what weighs: active, cpu, off-cpu, wall (all), target",
        .offset = offsetof(struct flame_options, mode),
    },
    {
        .name = "invert",
        .kind = OPTION_FLAG,
        .summary = "what ran innermost on top, its callers below it",
        .offset = offsetof(struct flame_options, invert),
    },
};

static void render(const void *result, const struct terminal *terminal, struct text *text)
{
    render_flame(result, terminal, text);
}

static int run_flame(const struct invocation *invocation)
{
    const struct flame_options *options = invocation->values;
    struct flame_request request = {
        .view = view_options_view(&options->view),
        .max_depth = (uint32_t)options->depth.value,
        .threshold_pct = options->threshold_pct,
        .invert = options->invert,
    };
    request.view.mode = (enum view_mode)options->mode;
    struct flame_result result = {0};
    const struct query_page page = {
        .question =
            {
                .server = &options->server,
                .wants_json = options->view.json,
                .method = "profile.flame",
                .params_type = &rpc_type_flame_request,
                .params = &request,
                .result_type = &rpc_type_flame_result,
                .result = &result,
            },
        .render = render,
        .hint = &result.hint,
    };
    return ask_query(&page, invocation->arena);
}

const struct command command_flame = {
    .name = "flame",
    .summary = "the call tree, callers above callees",
    .description =
        "Prints the call tree of a run, indented, the heaviest child first; also while the run\n"
        "is recorded. What is cut ends in \"…N more frames\". Lanes of the program's own spans\n"
        "stand beside the stacks; what is \"(linked)\" ran in parallel and adds nothing above it.",
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
                "  stax flame --invert -d 4               # who calls the hottest functions\n"
                "  stax flame --mode off-cpu              # where threads were blocked\n"
                "  stax flame --mode target               # what the program's own spans took\n"
                "  stax flame -d 0 --threshold-pct 0      # the whole tree\n"
                "  stax flame --tid 4712 --from 2.5 --to 3\n",
    .run = run_flame,
};
