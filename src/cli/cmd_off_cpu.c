/* SPDX-License-Identifier: MIT */
#include "cli/ask_query.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/view_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

/* Kernel frames are not counted by -d; no wait has more of them. */
#define KERNEL_FRAMES_MAX 64

struct off_cpu_options {
    struct option_number limit;
    struct option_number depth;
    unsigned reason; /* 0: all; else enum wait_reason + 1 */
    unsigned by;     /* enum off_cpu_by */
    struct view_options view;
    struct server_options server;
};

/* In the order of enum wait_reason, behind "all". */
static const char *const reasons[] = {
    "all", "idle", "lock", "sem", "ipc", "ioR", "ioW", "ready", "sleep", "conn", "other", NULL,
};
_Static_assert(sizeof(reasons) / sizeof(reasons[0]) == WAIT_REASON_N + 2, "reasons");

/* In the order of enum off_cpu_by. */
static const char *const things[] = {"stack", "reason", "thread", NULL};

static const struct option_spec specs[] = {
    LIMIT_OPTION(struct off_cpu_options, "rows"),
    {
        .name = "by",
        .kind = OPTION_CHOICE,
        .value_name = "BY",
        .fallback = "stack",
        .choices = things,
        .summary = "a row per stack, reason, or thread and reason",
        .offset = offsetof(struct off_cpu_options, by),
    },
    {
        .name = "reason",
        .kind = OPTION_CHOICE,
        .value_name = "REASON",
        .fallback = "all",
        .choices = reasons,
        .summary = "idle lock sem ipc ioR ioW ready sleep conn other",
        .offset = offsetof(struct off_cpu_options, reason),
    },
    {
        .letter = 'd',
        .kind = OPTION_INTEGER,
        .value_name = "DEPTH",
        .fallback = "12",
        .summary = "frames per stack; 0: all, those of the kernel too",
        .min = 0,
        .max = INT32_MAX - KERNEL_FRAMES_MAX,
        .offset = offsetof(struct off_cpu_options, depth),
    },
};

/* The result first, so that both have one address. */
struct off_cpu_page {
    struct off_cpu_result result;
    size_t max_frames;
};

static void render(const void *result, const struct terminal *terminal, struct text *text)
{
    const struct off_cpu_page *page = result;
    render_off_cpu(&page->result, page->max_frames, terminal, text);
}

static int run_off_cpu(const struct invocation *invocation)
{
    const struct off_cpu_options *options = invocation->values;
    /* Programs get whole stacks unless they ask for less. */
    bool is_whole = options->view.json && !options->depth.is_given;
    uint32_t depth = is_whole ? 0 : (uint32_t)options->depth.value;
    struct off_cpu_request request = {
        .view = view_options_view(&options->view),
        .by = (enum off_cpu_by)options->by,
        .has_reason = options->reason > 0,
        .reason = options->reason > 0 ? (enum wait_reason)(options->reason - 1) : WAIT_REASON_IDLE,
        .limit = (uint32_t)options->limit.value,
        .max_frames = depth > 0 ? depth + KERNEL_FRAMES_MAX : 0,
    };
    struct off_cpu_page answer = {.max_frames = depth};
    const struct query_page page = {
        .question =
            {
                .server = &options->server,
                .wants_json = options->view.json,
                .method = "profile.offCpu",
                .params_type = &rpc_type_off_cpu_request,
                .params = &request,
                .result_type = &rpc_type_off_cpu_result,
                .result = &answer.result,
            },
        .render = render,
        .hint = &answer.result.hint,
    };
    return ask_query(&page, invocation->arena);
}

const struct command command_off_cpu = {
    .name = "off-cpu",
    .summary = "where and why threads waited",
    .description =
        "Prints where threads were blocked, by the time that it took: how many waits, their\n"
        "median and longest, for what (the reason), the function that says so (the wait site),\n"
        "and the stack. Waits that last count with their length so far. Waiting for a CPU is no\n"
        "wait: see runq ms of stax threads. ~ marks places that were found by a look in between.",
    .options =
        {
            .groups =
                {
                    {.title = "Options", OPTION_SPECS(specs)},
                    VIEW_OPTION_GROUP(struct off_cpu_options),
                    SERVER_OPTION_GROUP(struct off_cpu_options),
                },
            .values_bytes = sizeof(struct off_cpu_options),
        },
    .examples = "  stax off-cpu -n 5\n"
                "  stax off-cpu --by reason\n"
                "  stax off-cpu --reason lock --tid 4712  # where this thread waited for locks\n"
                "  stax off-cpu -d 0 --from -5            # whole stacks, the last five seconds\n",
    .run = run_off_cpu,
};
