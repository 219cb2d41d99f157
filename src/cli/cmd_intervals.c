/* SPDX-License-Identifier: MIT */
#include "cli/ask_query.h"
#include "cli/command.h"
#include "cli/complain.h"
#include "cli/render.h"
#include "cli/view_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

#define TEXT_FRAMES 32 /* of a stack; no more is shown */

struct intervals_options {
    struct option_number limit;
    bool longest, latest;
    bool no_stacks;
    unsigned reason; /* 0: all; else enum wait_reason + 1 */
    struct view_options view;
    struct server_options server;
};

/* "all", then in the order of enum wait_reason. */
static const char *const reasons[] = {
    "all", "idle", "lock", "sem", "ipc", "ioR", "ioW", "ready", "sleep", "conn", "other", NULL,
};

static const struct option_spec specs[] = {
    LIMIT_OPTION(struct intervals_options, "waits"),
    {
        .name = "longest",
        .kind = OPTION_FLAG,
        .summary = "the longest ones (the default)",
        .offset = offsetof(struct intervals_options, longest),
    },
    {
        .name = "latest",
        .kind = OPTION_FLAG,
        .summary = "those that ended last, or last still",
        .offset = offsetof(struct intervals_options, latest),
    },
    {
        .name = "reason",
        .kind = OPTION_CHOICE,
        .value_name = "REASON",
        .fallback = "all",
        .choices = reasons,
        .summary = "only waits for this",
        .offset = offsetof(struct intervals_options, reason),
    },
    {
        .name = "no-stacks",
        .kind = OPTION_FLAG,
        .summary = "rows without stacks, for hundreds of thousands of them",
        .offset = offsetof(struct intervals_options, no_stacks),
    },
};

static void render(const void *result, const struct terminal *terminal, struct text *text)
{
    render_intervals(result, terminal, text);
}

static int run_intervals(const struct invocation *invocation)
{
    const struct intervals_options *options = invocation->values;
    if (options->longest && options->latest) {
        return complain_usage(invocation->command, "--longest and --latest exclude each other");
    }
    struct intervals_request request = {
        .view = view_options_view(&options->view),
        .order = options->latest ? INTERVALS_ORDER_LATEST : INTERVALS_ORDER_LONGEST,
        .has_reason = options->reason > 0,
        .reason = options->reason > 0 ? (enum wait_reason)(options->reason - 1) : WAIT_REASON_IDLE,
        .no_stacks = options->no_stacks,
        .limit = (uint32_t)options->limit.value,
        .max_frames = options->view.json ? 0 : TEXT_FRAMES,
    };
    struct intervals_result result = {0};
    const struct query_page page = {
        .question =
            {
                .server = &options->server,
                .wants_json = options->view.json,
                .method = "profile.intervals",
                .params_type = &rpc_type_intervals_request,
                .params = &request,
                .result_type = &rpc_type_intervals_result,
                .result = &result,
            },
        .render = render,
        .hint = &result.hint,
    };
    return ask_query(&page, invocation->arena);
}

const struct command command_intervals = {
    .name = "intervals",
    .summary = "single waits, and who ended them",
    .description =
        "Prints single waits: when a thread was blocked, for how long, how long it then waited\n"
        "for a CPU, why, who woke it, and where it waited; also while the run is recorded. A wait\n"
        "that lasts counts as long as it is so far.",
    .options =
        {
            .groups =
                {
                    {.title = "Options", OPTION_SPECS(specs)},
                    VIEW_OPTION_GROUP(struct intervals_options),
                    SERVER_OPTION_GROUP(struct intervals_options),
                },
            .values_bytes = sizeof(struct intervals_options),
        },
    .examples = "  stax intervals                         # the 20 longest\n"
                "  stax intervals --latest --reason lock --tid 4712\n"
                "  stax intervals -n 0 --from 2 --to 3 --json\n",
    .run = run_intervals,
};
