/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/text.h"
#include "cli/ask_query.h"
#include "cli/command.h"
#include "cli/complain.h"
#include "cli/render.h"
#include "cli/usage.h"
#include "cli/view_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

#define TEXT_FRAMES 32 /* of a stack; no more is shown */
#define HELP_MAX_BYTES (64u * 1024)

/* In the order of both enums; time is what is meant where nothing is said. */
enum by { BY_TIME, BY_COUNT, BY_AVG, BY_MAX, BY_P95, BY_P99, BY_STACK, BY_NAME };
static const char *const bys[] = {"time", "count", "avg",  "max", "p95",
                                  "p99",  "stack", "name", NULL};

struct target_options {
    struct option_number limit;
    unsigned by; /* enum by */
    bool latest;
    const char *lane, *name;
    struct view_options view;
    struct server_options server;
};

static const struct option_spec specs[] = {
    LIMIT_OPTION(struct target_options, "rows"),
    {
        .name = "by",
        .kind = OPTION_CHOICE,
        .value_name = "WHAT",
        .choices = bys,
        .summary = "top: time, count, avg, max, p95 or p99; origins: stack or name",
        .offset = offsetof(struct target_options, by),
    },
    {
        .name = "latest",
        .kind = OPTION_FLAG,
        .summary = "spans: those that ended last, not the longest ones",
        .offset = offsetof(struct target_options, latest),
    },
    {
        .name = "lane",
        .kind = OPTION_TEXT,
        .value_name = "PATTERN",
        .summary = "only lanes of this name; text or /regex/",
        .offset = offsetof(struct target_options, lane),
    },
    {
        .name = "name",
        .kind = OPTION_TEXT,
        .value_name = "PATTERN",
        .summary = "only spans of this name; text or /regex/",
        .offset = offsetof(struct target_options, name),
    },
};

static int print_help(const struct command *command)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, HELP_MAX_BYTES);
    usage_append_command(command, &text);
    return ask_print(&text);
}

static struct query_page page_of(const struct target_options *options, const char *method)
{
    return (struct query_page){
        .question =
            {
                .server = &options->server,
                .wants_json = options->view.json,
                .method = method,
            },
    };
}

static uint32_t max_frames(const struct target_options *options)
{
    return options->view.json ? 0 : TEXT_FRAMES;
}

static void show_lanes(const void *result, const struct terminal *terminal, struct text *text)
{
    render_target_lanes(result, terminal, text);
}

static int run_lanes(const struct invocation *invocation)
{
    const struct target_options *options = invocation->values;
    struct target_lanes_request request = {
        .view = view_options_view(&options->view),
        .lane = options->lane,
        .name = options->name,
        .limit = (uint32_t)options->limit.value,
    };
    struct target_lanes_result result = {0};
    struct query_page page = page_of(options, "profile.targetLanes");
    page.question.params_type = &rpc_type_target_lanes_request;
    page.question.params = &request;
    page.question.result_type = &rpc_type_target_lanes_result;
    page.question.result = &result;
    page.render = show_lanes;
    page.hint = &result.hint;
    return ask_query(&page, invocation->arena);
}

static void show_top(const void *result, const struct terminal *terminal, struct text *text)
{
    render_target_top(result, terminal, text);
}

static int run_top(const struct invocation *invocation)
{
    const struct target_options *options = invocation->values;
    struct target_top_request request = {
        .view = view_options_view(&options->view),
        .sort = (enum target_top_sort)options->by,
        .lane = options->lane,
        .name = options->name,
        .limit = (uint32_t)options->limit.value,
    };
    struct target_top_result result = {0};
    struct query_page page = page_of(options, "profile.targetTop");
    page.question.params_type = &rpc_type_target_top_request;
    page.question.params = &request;
    page.question.result_type = &rpc_type_target_top_result;
    page.question.result = &result;
    page.render = show_top;
    page.hint = &result.hint;
    return ask_query(&page, invocation->arena);
}

static void show_spans(const void *result, const struct terminal *terminal, struct text *text)
{
    render_target_spans(result, terminal, text);
}

static int run_spans(const struct invocation *invocation)
{
    const struct target_options *options = invocation->values;
    struct target_spans_request request = {
        .view = view_options_view(&options->view),
        .order = options->latest ? TARGET_SPANS_ORDER_LATEST : TARGET_SPANS_ORDER_LONGEST,
        .lane = options->lane,
        .name = options->name,
        .limit = (uint32_t)options->limit.value,
        .max_frames = max_frames(options),
    };
    struct target_spans_result result = {0};
    struct query_page page = page_of(options, "profile.targetSpans");
    page.question.params_type = &rpc_type_target_spans_request;
    page.question.params = &request;
    page.question.result_type = &rpc_type_target_spans_result;
    page.question.result = &result;
    page.render = show_spans;
    page.hint = &result.hint;
    return ask_query(&page, invocation->arena);
}

static void show_origins(const void *result, const struct terminal *terminal, struct text *text)
{
    render_target_origins(result, terminal, text);
}

static int run_origins(const struct invocation *invocation)
{
    const struct target_options *options = invocation->values;
    struct target_origins_request request = {
        .view = view_options_view(&options->view),
        .by = options->by == BY_NAME ? TARGET_ORIGINS_BY_NAME : TARGET_ORIGINS_BY_STACK,
        .lane = options->lane,
        .name = options->name,
        .limit = (uint32_t)options->limit.value,
        .max_frames = max_frames(options),
    };
    struct target_origins_result result = {0};
    struct query_page page = page_of(options, "profile.targetOrigins");
    page.question.params_type = &rpc_type_target_origins_request;
    page.question.params = &request;
    page.question.result_type = &rpc_type_target_origins_result;
    page.question.result = &result;
    page.render = show_origins;
    page.hint = &result.hint;
    return ask_query(&page, invocation->arena);
}

static const char *const questions[] = {"lanes", "top", "spans", "origins", NULL};
enum { QUESTION_LANES, QUESTION_TOP, QUESTION_SPANS, QUESTION_ORIGINS };

static int run_target(const struct invocation *invocation)
{
    static int (*const runs[])(const struct invocation *) = {run_lanes, run_top, run_spans,
                                                             run_origins};
    const struct target_options *options = invocation->values;
    if (invocation->n_operands == 0) {
        return print_help(invocation->command);
    }
    size_t question = 0;
    while (questions[question] && strcmp(questions[question], invocation->operands[0]) != 0) {
        question++;
    }
    if (!questions[question]) {
        return complain_usage(invocation->command, "'%s' is not one of lanes, top, spans, origins",
                              invocation->operands[0]);
    }
    bool is_of_top = options->by >= BY_COUNT && options->by <= BY_P99;
    bool is_of_origins = options->by == BY_STACK || options->by == BY_NAME;
    if ((is_of_top && question != QUESTION_TOP) ||
        (is_of_origins && question != QUESTION_ORIGINS)) {
        return complain_usage(invocation->command, "--by %s is for `stax target %s`",
                              bys[options->by], is_of_top ? "top" : "origins");
    }
    if (options->latest && question != QUESTION_SPANS) {
        return complain_usage(invocation->command, "--latest is for `stax target spans`");
    }
    return runs[question](invocation);
}

const struct command command_target = {
    .name = "target",
    .summary = "work that the program reports itself: lanes and spans",
    .description =
        "Prints what the program reported itself, through libstax-target, NVTX or ITT: work that\n"
        "runs beside its threads, as named spans on lanes; also while the run is recorded.\n"
        "\n"
        "  stax target lanes     which lanes there are, and how busy they were\n"
        "  stax target top       which spans took most time, ran most often, are slowest\n"
        "  stax target spans     the longest single spans, or the latest, with all they tell\n"
        "  stax target origins   which CPU stacks queued the work, and who waited for it\n"
        "\n"
        "--tid of a lane chooses its spans, that of a thread those that it queued; of waits, who\n"
        "waited. --exclude and --focus look at the names of lane and span, and of the spans that\n"
        "it is inside of; with origins at the functions of the stack, too. In a range a span\n"
        "counts where some of it lies inside, with the time inside; lengths are whole.",
    .operands = "lanes|top|spans|origins",
    .max_operands = 1,
    .operand_choices = questions,
    .options =
        {
            .groups =
                {
                    {.title = "Options", OPTION_SPECS(specs)},
                    VIEW_OPTION_GROUP(struct target_options),
                    SERVER_OPTION_GROUP(struct target_options),
                },
            .values_bytes = sizeof(struct target_options),
        },
    .examples =
        "  stax target lanes\n"
        "  stax target top --by p99 -n 10\n"
        "  stax target spans --lane gpu --from -5  # the longest of the last 5 s\n"
        "  stax target origins --tid 4712          # what this thread queued, and waited for\n",
    .run = run_target,
};
