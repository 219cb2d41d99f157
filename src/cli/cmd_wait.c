/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "base/clock.h"
#include "cli/ask.h"
#include "cli/command.h"
#include "cli/complain.h"
#include "cli/render.h"
#include "cli/run_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

struct wait_options {
    struct option_number for_samples, for_seconds;
    const char *until_symbol;
    struct option_number timeout_ms;
    struct run_options run;
    struct server_options server;
};

static const struct option_spec specs[] = {
    {
        .name = "for-samples",
        .kind = OPTION_INTEGER,
        .value_name = "N",
        .summary = "until the run has as many samples",
        .min = 1,
        .max = INT64_MAX,
        .offset = offsetof(struct wait_options, for_samples),
    },
    {
        .name = "for-seconds",
        .kind = OPTION_DURATION,
        .value_name = "T",
        .summary = "until as much time has passed: 2.5, 1500ms, 2m",
        .offset = offsetof(struct wait_options, for_seconds),
    },
    {
        .name = "until-symbol",
        .kind = OPTION_TEXT,
        .value_name = "NAME",
        .summary = "until a function whose name holds NAME was seen",
        .offset = offsetof(struct wait_options, until_symbol),
    },
    {
        .name = "timeout-ms",
        .kind = OPTION_INTEGER,
        .value_name = "MS",
        .summary = "give up then, exit 1",
        .min = 0,
        .max = INT32_MAX,
        .offset = offsetof(struct wait_options, timeout_ms),
    },
};

static int report(const struct wait_result *result)
{
    if (result->outcome == WAIT_OUTCOME_TIMED_OUT) {
        struct error error;
        error_set(&error, "timed_out", "timed out");
        error_hint(&error, "run %" PRIu32 " goes on: %" PRIu64 " samples so far; stax status",
                   result->run.id, result->run.samples);
        complain_error(&error);
        return EXIT_CODE_FAILED;
    }
    _cleanup_(text_releasep) struct text text;
    text_init(&text, RENDER_MAX_BYTES);
    render_run_summary(&result->run, NULL, &text);
    return ask_print(&text);
}

static int run_wait(const struct invocation *invocation)
{
    const struct wait_options *options = invocation->values;
    int n_conditions = (options->for_samples.is_given ? 1 : 0) +
                       (options->for_seconds.is_given ? 1 : 0) + (options->until_symbol ? 1 : 0);
    if (n_conditions > 1) {
        return complain_usage(invocation->command,
                              "--for-samples, --for-seconds and --until-symbol exclude each other");
    }
    struct wait_request request = {
        .for_samples = (uint64_t)options->for_samples.value,
        .for_ns = (uint64_t)options->for_seconds.value,
        .until_symbol = options->until_symbol,
        .has_timeout = options->timeout_ms.is_given,
        .timeout_ns = (uint64_t)options->timeout_ms.value * NS_PER_MS,
    };
    /* Decoded in any case: the exit code depends on the outcome. */
    struct wait_result result = {0};
    struct question question = {
        .server = &options->server,
        .wants_json = options->run.json,
        .method = "run.wait",
        .params_type = &rpc_type_wait_request,
        .params = &request,
        .result_type = &rpc_type_wait_result,
        .result = &result,
    };
    int code = ask(&question, invocation->arena);
    if (code != EXIT_CODE_DONE) {
        return code;
    }
    if (options->run.json) {
        return result.outcome == WAIT_OUTCOME_TIMED_OUT ? EXIT_CODE_FAILED : EXIT_CODE_DONE;
    }
    return report(&result);
}

const struct command command_wait = {
    .name = "wait",
    .summary = "block until the active run has enough, or ends",
    .description =
        "Blocks until the condition holds, the active run stops or the time is up. Without a\n"
        "condition: until it stops. Exits 0 when the condition was met or the run stopped, 1 when\n"
        "the time is up or no run is active.",
    .options =
        {
            .groups =
                {
                    {.title = "Options", OPTION_SPECS(specs)},
                    {
                        .title = "Output",
                        .specs = run_option_specs,
                        .n_specs = RUN_OPTION_JSON_N,
                        .offset = offsetof(struct wait_options, run),
                    },
                    SERVER_OPTION_GROUP(struct wait_options),
                },
            .values_bytes = sizeof(struct wait_options),
        },
    .examples = "  stax wait --for-samples 1000 && stax top\n"
                "  stax wait --until-symbol parse_line --timeout-ms 10000\n"
                "  stax wait                              # until the run ends\n",
    .run = run_wait,
};
