/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "cli/archive_path.h"
#include "cli/ask_query.h"
#include "cli/command.h"
#include "cli/complain.h"
#include "cli/render.h"
#include "cli/run_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

struct save_options {
    struct run_options run;
    struct server_options server;
};

static void render(const void *result, const struct terminal *terminal, struct text *text)
{
    (void)terminal;
    render_save(result, text);
}

static int run_save_command(const struct invocation *invocation)
{
    const struct save_options *options = invocation->values;
    struct save_request request = {
        .run = (run_id)options->run.run.value,
        .path = archive_path_absolute(invocation->arena, invocation->operands[0]),
    };
    if (!request.path) {
        complain("the working directory: %s", strerror(errno));
        return EXIT_CODE_FAILED;
    }
    struct save_result result = {0};
    const struct query_page page = {
        .question =
            {
                .server = &options->server,
                .wants_json = options->run.json,
                .method = "run.save",
                .params_type = &rpc_type_save_request,
                .params = &request,
                .result_type = &rpc_type_save_result,
                .result = &result,
            },
        .render = render,
    };
    return ask_query(&page, invocation->arena);
}

const struct command command_save = {
    .name = "save",
    .summary = "write a run into an archive",
    .description =
        "Writes a run into an archive from which every command answers the same, on any machine:\n"
        "names, source lines and machine code of what was seen are inside. PATH.stax becomes one\n"
        "file (an SQLite archive: sqlite3 PATH.stax -A lists it), any other name a directory.\n"
        "Works while the run is being recorded. The archive appears whole or not at all.",
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
                        .n_specs = RUN_OPTION_N,
                        .offset = offsetof(struct save_options, run),
                    },
                    SERVER_OPTION_GROUP(struct save_options),
                },
            .values_bytes = sizeof(struct save_options),
        },
    .examples = "  stax save slow.stax\n"
                "  stax save --run 2 before.stax\n",
    .run = run_save_command,
};
