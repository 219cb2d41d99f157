/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "cli/archive_path.h"
#include "cli/ask_query.h"
#include "cli/command.h"
#include "cli/complain.h"
#include "cli/render.h"
#include "cli/view_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

struct export_options {
    const char *format;
    unsigned mode; /* enum view_mode */
    struct view_options view;
    struct server_options server;
};

/* In the order of enum view_mode. */
static const char *const modes[] = {"active", "cpu", "off-cpu", "wall", "target", NULL};

static const struct option_spec specs[] = {
    {
        .name = "format",
        .letter = 'f',
        .kind = OPTION_TEXT,
        .value_name = "F",
        .summary = "the format, whatever the name of the file tells",
        .offset = offsetof(struct export_options, format),
    },
    {
        .name = "mode",
        .kind = OPTION_CHOICE,
        .value_name = "MODE",
        .fallback = "active",
        .choices = modes,
        .summary = "what folded and svg hold: active, cpu, off-cpu, wall, target",
        .offset = offsetof(struct export_options, mode),
    },
};

static void render(const void *result, const struct terminal *terminal, struct text *text)
{
    (void)terminal;
    render_export(result, text);
}

static int run_export_command(const struct invocation *invocation)
{
    const struct export_options *options = invocation->values;
    struct export_request request = {
        .view = view_options_view(&options->view),
        .path = archive_path_absolute(invocation->arena, invocation->operands[0]),
        .format = options->format,
    };
    if (!request.path) {
        complain("the working directory: %s", strerror(errno));
        return EXIT_CODE_FAILED;
    }
    request.view.mode = (enum view_mode)options->mode;
    struct export_result result = {0};
    const struct query_page page = {
        .question =
            {
                .server = &options->server,
                .wants_json = options->view.json,
                .method = "run.export",
                .params_type = &rpc_type_export_request,
                .params = &request,
                .result_type = &rpc_type_export_result,
                .result = &result,
            },
        .render = render,
    };
    return ask_query(&page, invocation->arena);
}

const struct command command_export = {
    .name = "export",
    .summary = "write a run in another tool's format",
    .description =
        "Writes a run, or the part of it that the options say, as a file for another tool. The\n"
        "name tells the format: .json (Firefox Profiler), .pb.gz (pprof), .speedscope.json,\n"
        ".folded, .perfetto-trace, callgrind.out.*, .svg (a flamegraph), .html (one page with\n"
        "flamegraph and tables, to attach to a bug report). Numbers are those of stax top.\n"
        "Formats: firefox, pprof, speedscope, folded, perfetto, callgrind, svg, html.",
    .operands = "PATH",
    .min_operands = 1,
    .max_operands = 1,
    .options =
        {
            .groups =
                {
                    {.title = "Options", OPTION_SPECS(specs)},
                    VIEW_OPTION_GROUP(struct export_options),
                    SERVER_OPTION_GROUP(struct export_options),
                },
            .values_bytes = sizeof(struct export_options),
        },
    .examples = "  stax export slow.html\n"
                "  stax export slow.json                  # for profiler.firefox.com\n"
                "  stax export --from -10 last.folded\n"
                "  stax export --mode off-cpu waits.svg   # where threads were blocked\n",
    .run = run_export_command,
};
