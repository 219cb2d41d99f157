/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/command.h"
#include "cli/complain.h"
#include "cli/render.h"
#include "cli/run_options.h"
#include "doctor/doctor.h"
#include "model/requests.h"
#include "rpc/fields.h"
#include "rpc/service.h"
#include "rpc/tables.h"

struct doctor_options {
    struct run_options run;
    struct server_options server;
};

/* Without a server: what this process may do, which is what a server that it starts may. */
static int examine_alone(struct arena *arena, struct doctor_result *ret_result)
{
    struct doctor_host host;
    struct doctor_list list;
    int r = doctor_list_init(&list, arena);
    if (r < 0) {
        return r;
    }
    doctor_host_read("", &host);
    doctor_examine_host(&list, &host);
    doctor_add(&list, "server", "server", DOCTOR_STATE_WARN,
               "stax record -- COMMAND (starts one), or: stax-server &",
               "stax-server isn't running: no run can be looked at");
    *ret_result = list.result;
    return 0;
}

/* A server of another version answers, but maybe not as this program understands. */
static int compare_versions(struct doctor_result *result, const char *server_version,
                            struct arena *arena)
{
    if (server_version && strcmp(server_version, STAX_VERSION) == 0) {
        return 0;
    }
    struct doctor_list list;
    int r = doctor_list_init(&list, arena);
    if (r < 0) {
        return r;
    }
    list.result.has_server = true;
    list.result.run = result->run;
    doctor_add(&list, "server", "version", DOCTOR_STATE_WARN,
               "stax shutdown (it forgets its runs); the next stax record starts the new one",
               "the server is %s, this program is %s", server_version ? server_version : "unknown",
               STAX_VERSION);
    for (size_t i = 0; i < result->n_findings; i++) {
        const struct doctor_finding *finding = &result->findings[i];
        doctor_add(&list, finding->area, finding->subject, finding->state, finding->fix, "%s",
                   finding->text);
    }
    *result = list.result;
    return 0;
}

static int print(const struct doctor_options *options, const struct doctor_result *result)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, RENDER_MAX_BYTES);
    if (options->run.json) {
        rpc_encode(&rpc_type_doctor_result, result, &text);
        text_append_char(&text, '\n');
    } else {
        struct terminal terminal;
        terminal_probe(STDOUT_FILENO, (enum colour_choice)options->server.colour, &terminal);
        render_doctor(result, &terminal, &text);
    }
    int code = ask_print(&text);
    return code == EXIT_CODE_DONE && result->broken > 0 ? EXIT_CODE_FAILED : code;
}

static int run_doctor(const struct invocation *invocation)
{
    const struct doctor_options *options = invocation->values;
    _cleanup_(rpc_client_freep) struct rpc_client *client = NULL;
    struct error error = {.code = ""};
    struct doctor_result result = {.has_server = false};
    int r = server_options_connect(&options->server, &client, &error);
    if (server_options_is_absent(r)) {
        r = examine_alone(invocation->arena, &result);
        if (r < 0) {
            complain("%s", strerror(-r));
            return EXIT_CODE_FAILED;
        }
        return print(options, &result);
    }
    if (r < 0) {
        complain_error(&error);
        return EXIT_CODE_FAILED;
    }
    struct server_info info = {.name = NULL};
    struct question about_server = {
        .method = "server.info",
        .result_type = &rpc_type_server_info,
        .result = &info,
    };
    struct diagnose_request request = {
        .run = options->run.run.is_given ? (run_id)options->run.run.value : 0,
    };
    struct question question = {
        .method = "server.doctor",
        .params_type = &rpc_type_diagnose_request,
        .params = &request,
        .result_type = &rpc_type_doctor_result,
        .result = &result,
    };
    int code = ask_over(client, &about_server, invocation->arena);
    code = code != EXIT_CODE_DONE ? code : ask_over(client, &question, invocation->arena);
    if (code != EXIT_CODE_DONE) {
        return code;
    }
    r = compare_versions(&result, info.version, invocation->arena);
    if (r < 0) {
        complain("%s", strerror(-r));
        return EXIT_CODE_FAILED;
    }
    return print(options, &result);
}

const struct command command_doctor = {
    .name = "doctor",
    .summary = "what stands in the way of a good recording, and the fix",
    .description =
        "Looks at the host and its permissions, the server, and the losses, the unwinding and\n"
        "the names of the last run. Each finding is ok, warn or broken, with what to type.\n"
        "Works without a server too. Exits 1 where something is broken.",
    .options =
        {
            .groups =
                {
                    {
                        .title = "Options",
                        OPTION_SPECS(run_option_specs),
                        .offset = offsetof(struct doctor_options, run),
                    },
                    SERVER_OPTION_GROUP(struct doctor_options),
                },
            .values_bytes = sizeof(struct doctor_options),
        },
    .examples = "  stax doctor\n"
                "  stax doctor --json | jq '.findings[] | select(.state != \"ok\")'\n",
    .run = run_doctor,
};
