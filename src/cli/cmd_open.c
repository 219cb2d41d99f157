/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "cli/archive_path.h"
#include "cli/ask.h"
#include "cli/command.h"
#include "cli/complain.h"
#include "cli/label.h"
#include "cli/render.h"
#include "cli/run_options.h"
#include "cli/server_reach.h"
#include "model/requests.h"
#include "rpc/client.h"
#include "rpc/tables.h"

struct open_options {
    struct run_options run;
    bool no_autostart;
    struct server_options server;
};

static const struct option_spec how_specs[] = {
    {
        .name = "no-autostart",
        .kind = OPTION_FLAG,
        .summary = "fail where no stax-server runs; so does STAX_AUTOSTART=0",
        .offset = offsetof(struct open_options, no_autostart),
    },
};

static int show(const struct run_info *run)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, RENDER_MAX_BYTES);
    text_append(&text, "opened ");
    render_run_line(run, &text);
    text_append_char(&text, '\n');
    int code = ask_print(&text);
    for (size_t i = 0; i < run->n_notes; i++) {
        ask_print_hint(run->notes[i]);
    }
    return code;
}

static int run_open_command(const struct invocation *invocation)
{
    const struct open_options *options = invocation->values;
    struct open_request request = {
        .path = archive_path_absolute(invocation->arena, invocation->operands[0]),
    };
    if (!request.path) {
        complain("the working directory: %s", strerror(errno));
        return EXIT_CODE_FAILED;
    }
    _cleanup_(rpc_client_freep) struct rpc_client *client = NULL;
    struct error error = {0};
    if (server_reach(&options->server, options->no_autostart, &client, &error) < 0) {
        complain_error(&error);
        return EXIT_CODE_FAILED;
    }
    struct run_info result = {0};
    const struct question question = {
        .wants_json = options->run.json,
        .method = "run.open",
        .params_type = &rpc_type_open_request,
        .params = &request,
        .result_type = &rpc_type_run_info,
        .result = &result,
    };
    int code = ask_over(client, &question, invocation->arena);
    return code == EXIT_CODE_DONE && !options->run.json ? show(&result) : code;
}

const struct command command_open = {
    .name = "open",
    .summary = "load an archive, or what another tool has recorded, as a run",
    .description =
        "Loads an archive that stax save has written, as one file or as a directory, as a run and\n"
        "selects it: all commands answer from it, without the programs that were recorded. What a\n"
        "damaged archive has lost is said. perf.data, folded stacks, pprof and Firefox profiles "
        "are\n"
        "read as well. Not while a run is being recorded.",
    .operands = "PATH",
    .min_operands = 1,
    .max_operands = 1,
    .options =
        {
            .groups =
                {
                    {
                        .title = "Options",
                        .specs = run_option_specs,
                        .n_specs = RUN_OPTION_JSON_N,
                        .offset = offsetof(struct open_options, run),
                    },
                    {.title = "How to go about it", OPTION_SPECS(how_specs)},
                    SERVER_OPTION_GROUP(struct open_options),
                },
            .values_bytes = sizeof(struct open_options),
        },
    .examples = "  stax open slow.stax && stax top\n"
                "  stax open perf.data && stax flame\n",
    .run = run_open_command,
};
