/* SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "cli/ask.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/view_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

struct threads_options {
    struct option_number limit;
    struct view_options view;
    struct server_options server;
};

static const struct option_spec specs[] = {
    {
        .letter = 'n',
        .kind = OPTION_INTEGER,
        .value_name = "N",
        .fallback = "20",
        .summary = "as many threads; 0: all",
        .min = 0,
        .max = INT32_MAX,
        .offset = offsetof(struct threads_options, limit),
    },
};

static int run_threads(const struct invocation *invocation)
{
    const struct threads_options *options = invocation->values;
    struct threads_request request = {
        .view = view_options_view(&options->view),
        .limit = (uint32_t)options->limit.value,
    };
    struct threads_result result = {0};
    struct question question = {
        .server = &options->server,
        .wants_json = options->view.json,
        .method = "profile.threads",
        .params_type = &rpc_type_threads_request,
        .params = &request,
        .result_type = options->view.json ? NULL : &rpc_type_threads_result,
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
    render_threads(&result, &terminal, &text);
    code = ask_print(&text);
    ask_print_hint(result.hint);
    return code;
}

const struct command command_threads = {
    .name = "threads",
    .summary = "what each thread did with its time",
    .description =
        "Prints each thread's time on a CPU (exact, from the scheduler), blocked (off-CPU) and\n"
        "waiting for a CPU (runq), the busiest first; also while the run is recorded.",
    .options =
        {
            .groups =
                {
                    {.title = "Options", OPTION_SPECS(specs)},
                    VIEW_OPTION_GROUP(struct threads_options),
                    SERVER_OPTION_GROUP(struct threads_options),
                },
            .values_bytes = sizeof(struct threads_options),
        },
    .examples = "  stax threads\n"
                "  stax threads -n 0 --from -10           # all of them, the last ten seconds\n",
    .run = run_threads,
};
