/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "cli/ask_query.h"
#include "cli/command.h"
#include "cli/complain.h"
#include "cli/render.h"
#include "cli/view_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

struct annotate_options {
    struct option_texts source_map;
    bool no_source;
    bool bytes;
    struct option_number context;
    struct view_options view;
    struct server_options server;
};

static const struct option_spec specs[] = {
    {
        .name = "source-map",
        .kind = OPTION_TEXT_LIST,
        .value_name = "FROM=TO",
        .summary = "source paths that begin with FROM are looked for below TO",
        .offset = offsetof(struct annotate_options, source_map),
    },
    {
        .name = "no-source",
        .kind = OPTION_FLAG,
        .summary = "instructions only",
        .offset = offsetof(struct annotate_options, no_source),
    },
    {
        .name = "bytes",
        .kind = OPTION_FLAG,
        .summary = "show the bytes of each instruction",
        .offset = offsetof(struct annotate_options, bytes),
    },
    {
        .name = "context",
        .kind = OPTION_INTEGER,
        .value_name = "N",
        .summary = "only N instructions around those that were sampled",
        .min = 0,
        .max = INT32_MAX,
        .offset = offsetof(struct annotate_options, context),
    },
};

/* The result first, so that both have one address. */
struct annotate_page {
    struct annotate_result result;
    struct render_annotate_style style;
};

static void render(const void *result, const struct terminal *terminal, struct text *text)
{
    const struct annotate_page *page = result;
    render_annotate(&page->result, &page->style, terminal, text);
}

static int run_annotate(const struct invocation *invocation)
{
    const struct annotate_options *options = invocation->values;
    struct annotate_request request = {
        .view = view_options_view(&options->view),
        .function = invocation->operands[0],
        .no_source = options->no_source,
        .n_source_map = options->source_map.n_items,
        .source_map = options->source_map.items,
    };
    for (size_t i = 0; i < options->source_map.n_items; i++) {
        const char *equals = strchr(options->source_map.items[i], '=');
        if (!equals || equals == options->source_map.items[i]) {
            return complain_usage(invocation->command, "--source-map: '%s' is no FROM=TO",
                                  options->source_map.items[i]);
        }
    }
    struct annotate_page answer = {
        .style =
            {
                .has_bytes = options->bytes,
                .no_source = options->no_source,
                .has_context = options->context.is_given,
                .n_context = (size_t)options->context.value,
            },
    };
    const struct query_page page = {
        .question =
            {
                .server = &options->server,
                .wants_json = options->view.json,
                .method = "profile.annotate",
                .params_type = &rpc_type_annotate_request,
                .params = &request,
                .result_type = &rpc_type_annotate_result,
                .result = &answer.result,
            },
        .render = render,
        .choice = &answer.result.choice,
    };
    int code = ask_query(&page, invocation->arena);
    for (size_t i = 0; code == EXIT_CODE_DONE && i < answer.result.n_notes; i++) {
        ask_print_hint(answer.result.notes[i]);
    }
    return code;
}

const struct command command_annotate = {
    .name = "annotate",
    .summary = "one function, instruction by instruction",
    .description =
        "Prints the instructions of a function with the samples that fell on them and, where it\n"
        "is known, the source between them; also while the run is recorded. NAME is its name,\n"
        "or part of it whatever the case, and then means the hottest function that fits;\n"
        "0xADDR is an address in it, as `stax top --json` shows it or at run time.",
    .operands = "NAME|0xADDR",
    .min_operands = 1,
    .max_operands = 1,
    .options =
        {
            .groups =
                {
                    {.title = "Options", OPTION_SPECS(specs)},
                    VIEW_OPTION_GROUP(struct annotate_options),
                    SERVER_OPTION_GROUP(struct annotate_options),
                },
            .values_bytes = sizeof(struct annotate_options),
        },
    .examples = "  stax annotate memcpy --bytes\n"
                "  stax annotate parse --context 5         # the hot places only\n"
                "  stax annotate libc.so.6+0x9d1c0 --source-map /build/glibc=/home/me/glibc\n",
    .run = run_annotate,
};
