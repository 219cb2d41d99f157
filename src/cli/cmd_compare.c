/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/archive_path.h"
#include "cli/ask.h"
#include "cli/command.h"
#include "cli/complain.h"
#include "cli/quantity.h"
#include "cli/render.h"
#include "cli/server_options.h"
#include "cli/server_reach.h"
#include "cli/view_options.h"
#include "model/requests.h"
#include "rpc/tables.h"

#define NS_PER_MS_DOUBLE 1e6
#define LARGEST_NUMBER 1e15 /* of a gate; whole numbers up to here are exact */

struct compare_options {
    struct option_number limit;
    bool json, markdown;
    struct option_texts functions;
    const char *active, *off_cpu, *target, *target_pct;
    const char *unlinked_origins, *missing_origins, *bad_duration_drops;
    const char *target_queue_drops, *worker_disconnect_drops;
    struct server_options server;
};

static const struct option_spec specs[] = {
    LIMIT_OPTION(struct compare_options, "functions"),
    {
        .name = "json",
        .kind = OPTION_FLAG,
        .summary = "print the answer as one line of JSON",
        .offset = offsetof(struct compare_options, json),
    },
    {
        .name = "markdown",
        .kind = OPTION_FLAG,
        .summary = "print a summary for a comment on a change",
        .offset = offsetof(struct compare_options, markdown),
    },
};

#define GATE(option, value, member, words)                                                         \
    {                                                                                              \
        .name = (option), .kind = OPTION_TEXT, .value_name = (value), .summary = (words),          \
        .offset = offsetof(struct compare_options, member),                                        \
    }

static const struct option_spec gate_specs[] = {
    GATE("fail-active-delta-ms", "MS", active, "active time grew by more"),
    GATE("fail-off-cpu-delta-ms", "MS", off_cpu, "time blocked grew by more"),
    GATE("fail-target-delta-ms", "MS", target, "time in the program's spans grew by more"),
    GATE("fail-target-delta-pct", "PCT", target_pct, "the same, in percent of the base's"),
    GATE("fail-unlinked-origins-delta", "N", unlinked_origins, "more spans without a known origin"),
    GATE("fail-missing-origins-delta", "N", missing_origins, "more spans that name no origin"),
    GATE("fail-bad-duration-drops-delta", "N", bad_duration_drops,
         "more span records that made no sense"),
    GATE("fail-target-queue-drops-delta", "N", target_queue_drops,
         "more span records that found a queue full"),
    GATE("fail-worker-disconnect-drops-delta", "N", worker_disconnect_drops,
         "more span records lost with their program"),
    {
        .name = "fail-function",
        .kind = OPTION_TEXT_LIST,
        .value_name = "NAME:+PCT",
        .summary = "its share grew significantly by more points",
        .offset = offsetof(struct compare_options, functions),
    },
};

/* ---- gates ---- */

/* What was typed behind an option; false: it was said that it is no number. */
static bool read_number(const struct invocation *invocation, const char *option, const char *typed,
                        double *ret_value)
{
    if (quantity_parse_decimal(typed, ret_value) < 0 || *ret_value > LARGEST_NUMBER) {
        complain_usage(invocation->command, "--%s: '%s' is not a number from 0 up", option, typed);
        return false;
    }
    return true;
}

/* Of what is counted. */
static bool set_count(const struct invocation *invocation, const char *option, const char *typed,
                      bool *ret_has, uint64_t *ret_limit)
{
    int64_t count;
    if (!typed) {
        return true;
    }
    if (quantity_parse_integer(typed, &count) < 0 || count < 0 || (double)count > LARGEST_NUMBER) {
        complain_usage(invocation->command, "--%s: '%s' is not a whole number from 0 up", option,
                       typed);
        return false;
    }
    *ret_has = true;
    *ret_limit = (uint64_t)count;
    return true;
}

/* Of a time, in milliseconds. */
static bool set_time(const struct invocation *invocation, const char *option, const char *typed,
                     bool *ret_has, uint64_t *ret_limit_ns)
{
    double value;
    if (!typed) {
        return true;
    }
    if (!read_number(invocation, option, typed, &value)) {
        return false;
    }
    *ret_has = true;
    *ret_limit_ns = (uint64_t)(value * NS_PER_MS_DOUBLE + 0.5);
    return true;
}

static bool set_function(const struct invocation *invocation, const char *typed,
                         struct compare_function_gate *ret_gate)
{
    const char *colon = strrchr(typed, ':');
    double growth_pp;
    if (!colon || colon == typed || colon[1] != '+' ||
        quantity_parse_decimal(colon + 2, &growth_pp) < 0) {
        complain_usage(invocation->command, "--fail-function: '%s' is no NAME:+PCT", typed);
        return false;
    }
    *ret_gate = (struct compare_function_gate){
        .name = arena_strndup(invocation->arena, typed, (size_t)(colon - typed)),
        .growth_pp = growth_pp,
    };
    return ret_gate->name != NULL;
}

static bool set_functions(const struct invocation *invocation, const struct option_texts *typed,
                          struct compare_gates *gates)
{
    gates->functions =
        arena_alloc_array(invocation->arena, typed->n_items, sizeof(*gates->functions));
    if (!gates->functions) {
        complain("%s", strerror(ENOMEM));
        return false;
    }
    for (size_t i = 0; i < typed->n_items; i++) {
        if (!set_function(invocation, typed->items[i], &gates->functions[i])) {
            return false;
        }
        gates->n_functions = i + 1;
    }
    return true;
}

static bool set_gates(const struct invocation *invocation, struct compare_gates *gates)
{
    const struct compare_options *options = invocation->values;
    const struct {
        const char *option, *typed;
        bool is_time;
        bool *has;
        uint64_t *limit;
    } limits[] = {
        {"fail-active-delta-ms", options->active, true, &gates->has_active_delta_ns,
         &gates->active_delta_ns},
        {"fail-off-cpu-delta-ms", options->off_cpu, true, &gates->has_off_cpu_delta_ns,
         &gates->off_cpu_delta_ns},
        {"fail-target-delta-ms", options->target, true, &gates->has_target_delta_ns,
         &gates->target_delta_ns},
        {"fail-unlinked-origins-delta", options->unlinked_origins, false,
         &gates->has_unlinked_origins_delta, &gates->unlinked_origins_delta},
        {"fail-missing-origins-delta", options->missing_origins, false,
         &gates->has_missing_origins_delta, &gates->missing_origins_delta},
        {"fail-bad-duration-drops-delta", options->bad_duration_drops, false,
         &gates->has_bad_duration_drops_delta, &gates->bad_duration_drops_delta},
        {"fail-target-queue-drops-delta", options->target_queue_drops, false,
         &gates->has_target_queue_drops_delta, &gates->target_queue_drops_delta},
        {"fail-worker-disconnect-drops-delta", options->worker_disconnect_drops, false,
         &gates->has_worker_disconnect_drops_delta, &gates->worker_disconnect_drops_delta},
    };
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        bool (*set)(const struct invocation *, const char *, const char *, bool *, uint64_t *) =
            limits[i].is_time ? set_time : set_count;
        if (!set(invocation, limits[i].option, limits[i].typed, limits[i].has, limits[i].limit)) {
            return false;
        }
    }
    gates->has_target_growth_pct = options->target_pct != NULL;
    if (options->target_pct && !read_number(invocation, "fail-target-delta-pct",
                                            options->target_pct, &gates->target_growth_pct)) {
        return false;
    }
    return set_functions(invocation, &options->functions, gates);
}

/* ---- sides ---- */

#define RUNS_OF_SIDE_MAX 100 /* as the server takes them */

static bool read_id(const char *typed, run_id *ret_id)
{
    int64_t id;
    if (quantity_parse_integer(typed, &id) < 0 || id < 1 || id > UINT32_MAX) {
        return false;
    }
    *ret_id = (run_id)id;
    return true;
}

/* "3" or "3-6". */
static bool read_id_range(char *typed, run_id *ret_first, run_id *ret_last)
{
    char *dash = strchr(typed, '-');
    if (dash) {
        *dash = '\0';
    }
    return read_id(typed, ret_first) && read_id(dash ? dash + 1 : typed, ret_last) &&
           *ret_first <= *ret_last && *ret_last - *ret_first < RUNS_OF_SIDE_MAX;
}

static bool is_listed(const run_id *runs, size_t n_runs, run_id id)
{
    bool found = false;
    for (size_t i = 0; i < n_runs && !found; i++) {
        found = runs[i] == id;
    }
    return found;
}

/* "3", "3,4,5" or "3-5"; 0, -EINVAL: it is something else, -EEXIST: one of them is there twice. */
static int read_ids(char *words, size_t *ret_n_runs, run_id *runs)
{
    size_t n_runs = 0;
    while (words) {
        run_id first, last;
        if (!read_id_range(strsep(&words, ","), &first, &last) ||
            last - first >= RUNS_OF_SIDE_MAX - n_runs) {
            return -EINVAL;
        }
        for (run_id id = first; id <= last; id++) {
            if (is_listed(runs, n_runs, id)) {
                return -EEXIST;
            }
            runs[n_runs++] = id;
        }
    }
    *ret_n_runs = n_runs;
    return 0;
}

/* What is not made of digits, commas and dashes, or begins with none of the first. */
static bool is_path(const char *typed)
{
    return typed[0] == ',' || typed[0] == '-' || typed[strspn(typed, "0123456789,-")] != '\0';
}

/* The runs of a side that is no archive; that has none as yet. Returns an exit code. */
static int read_side(const struct invocation *invocation, const char *typed, size_t *ret_n_runs,
                     run_id **ret_runs)
{
    char *words = arena_strdup(invocation->arena, typed);
    *ret_runs = arena_alloc_array(invocation->arena, RUNS_OF_SIDE_MAX, sizeof(**ret_runs));
    if (!words || !*ret_runs) {
        complain("%s", strerror(ENOMEM));
        return EXIT_CODE_FAILED;
    }
    switch (is_path(typed) ? 0 : read_ids(words, ret_n_runs, *ret_runs)) {
    case -EINVAL:
        return complain_usage(invocation->command,
                              "'%s' are no numbers of runs, as in 3 or 1,2,5-8, %d at most; an "
                              "archive of that name: ./%s",
                              typed, RUNS_OF_SIDE_MAX, typed);
    case -EEXIST:
        return complain_usage(invocation->command,
                              "'%s' names a run twice, which tells no more than once", typed);
    default:
        return EXIT_CODE_DONE;
    }
}

/* Has the server load the archive; its run is the side. Returns an exit code. */
static int open_side(struct rpc_client *client, struct arena *arena, const char *path,
                     size_t *ret_n_runs, run_id *ret_run)
{
    const struct open_request request = {
        .path = archive_path_absolute(arena, path),
        .keep_selection = true,
    };
    if (!request.path) {
        complain("the working directory: %s", strerror(errno));
        return EXIT_CODE_FAILED;
    }
    struct run_info run = {0};
    const struct question question = {
        .method = "run.open",
        .params_type = &rpc_type_open_request,
        .params = &request,
        .result_type = &rpc_type_run_info,
        .result = &run,
    };
    int code = ask_over(client, &question, arena);
    *ret_n_runs = 1;
    *ret_run = run.id;
    return code;
}

/* Loads the sides that are archives. Returns an exit code. */
static int open_sides(const struct invocation *invocation, struct rpc_client *client,
                      struct compare_request *request)
{
    const char *base = invocation->operands[0], *candidate = invocation->operands[1];
    int code = EXIT_CODE_DONE;
    if (is_path(base)) {
        code = open_side(client, invocation->arena, base, &request->n_base, request->base);
    }
    if (code == EXIT_CODE_DONE && is_path(candidate)) {
        code = open_side(client, invocation->arena, candidate, &request->n_candidate,
                         request->candidate);
    }
    return code;
}

/* As `stax open`, archives start a server where none runs. */
static int reach(const struct invocation *invocation, struct rpc_client **ret_client,
                 struct error *reterr_error)
{
    const struct compare_options *options = invocation->values;
    bool has_path = is_path(invocation->operands[0]) || is_path(invocation->operands[1]);
    return has_path ? server_reach(&options->server, false, ret_client, reterr_error)
                    : server_options_connect(&options->server, ret_client, reterr_error);
}

/* ---- the answer ---- */

static int show(const struct compare_options *options, const struct compare_result *result)
{
    struct terminal terminal;
    terminal_probe(STDOUT_FILENO, (enum colour_choice)options->server.colour, &terminal);
    _cleanup_(text_releasep) struct text text;
    text_init(&text, RENDER_MAX_BYTES);
    if (options->markdown) {
        render_compare_markdown(result, &text);
    } else {
        render_compare(result, &terminal, &text);
    }
    int code = ask_print(&text);
    ask_print_hint(result->hint);
    return code;
}

static int ask_compare(const struct invocation *invocation, struct rpc_client *client,
                       const struct compare_request *request)
{
    const struct compare_options *options = invocation->values;
    struct compare_result result = {0};
    const struct question question = {
        .wants_json = options->json,
        .method = "run.compare",
        .params_type = &rpc_type_compare_request,
        .params = request,
        .result_type = &rpc_type_compare_result,
        .result = &result,
    };
    int code = ask_over(client, &question, invocation->arena);
    if (code == EXIT_CODE_DONE && !options->json) {
        code = show(options, &result);
    }
    for (size_t i = 0; code != EXIT_CODE_FAILED && i < result.n_threshold_failures; i++) {
        complain("%s", result.threshold_failures[i].message);
    }
    return result.n_threshold_failures > 0 ? EXIT_CODE_FAILED : code;
}

static int run_compare(const struct invocation *invocation)
{
    const struct compare_options *options = invocation->values;
    struct compare_request request = {.limit = (uint32_t)options->limit.value};
    if (options->json && options->markdown) {
        return complain_usage(invocation->command, "--json and --markdown exclude each other");
    }
    if (!set_gates(invocation, &request.gates)) {
        return EXIT_CODE_USAGE;
    }
    int code = read_side(invocation, invocation->operands[0], &request.n_base, &request.base);
    if (code == EXIT_CODE_DONE) {
        code = read_side(invocation, invocation->operands[1], &request.n_candidate,
                         &request.candidate);
    }
    if (code != EXIT_CODE_DONE) {
        return code;
    }
    _cleanup_(rpc_client_freep) struct rpc_client *client = NULL;
    struct error error = {0};
    if (reach(invocation, &client, &error) < 0) {
        complain_error(&error);
        return EXIT_CODE_FAILED;
    }
    code = open_sides(invocation, client, &request);
    return code == EXIT_CODE_DONE ? ask_compare(invocation, client, &request) : code;
}

const struct command command_compare = {
    .name = "compare",
    .summary = "what differs between two runs, and what of it is more than chance",
    .description =
        "Compares two runs: their figures, and the shares of all functions with how sure each\n"
        "difference is. BASE and CANDIDATE are numbers of runs (3, 1-3, 1,4,6-8) or archives. "
        "Limits\n"
        "make it fail, with a line that names what grew, or what could not be tested.",
    .operands = "BASE CANDIDATE",
    .min_operands = 2,
    .max_operands = 2,
    .options =
        {
            .groups =
                {
                    {.title = "Options", OPTION_SPECS(specs)},
                    {.title = "Fail, with exit status 1, where", OPTION_SPECS(gate_specs)},
                    SERVER_OPTION_GROUP(struct compare_options),
                },
            .values_bytes = sizeof(struct compare_options),
        },
    .examples = "  stax compare 1 2\n"
                "  stax compare 1-3 4-6                       # groups of equal runs\n"
                "  stax compare before.stax after.stax --markdown\n"
                "  stax compare 1 2 --fail-active-delta-ms 50 --fail-function 'parse_line:+2'\n",
    .run = run_compare,
};
