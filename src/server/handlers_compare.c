/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "compare/compare.h"
#include "model/requests.h"
#include "server/handlers.h"
#include "server/run_choice.h"
#include "server/server.h"

#define MAX_RUNS_OF_SIDE 100u
#define MAX_FUNCTION_GATES 256u

static const struct view whole_run = {0};

/* Both sides' runs in one array, as the call keeps them: the base's first. */
static int take_snapshots(struct call *call, struct query_context *contexts)
{
    int r = 0;
    for (size_t i = 0; i < call->n_runs && r == 0; i++) {
        r = handlers_take_snapshot(call, call->runs[i], &whole_run, &contexts[i]);
    }
    return r;
}

static const char *command_of(struct call *call, size_t run)
{
    return arena_strdup(&call->arena, run_get_command(call->runs[run]));
}

static int work_compare(struct call *call)
{
    const struct compare_request *request = call->params;
    struct compare_result *result = call->result;
    struct query_context *contexts =
        arena_alloc_array(&call->arena, call->n_runs, sizeof(*contexts));
    if (!contexts) {
        return -ENOMEM;
    }
    const struct compare_runs base = {.n_runs = request->n_base, .runs = contexts};
    const struct compare_runs candidate = {.n_runs = request->n_candidate,
                                           .runs = contexts + request->n_base};
    int r = take_snapshots(call, contexts);
    r = r ? r : compare_runs(&base, &candidate, request, result, &call->error);
    if (r == 0) {
        result->base.command = command_of(call, 0);
        result->candidate.command = command_of(call, request->n_base);
    }
    for (size_t i = 0; i < call->n_runs; i++) {
        snapshot_unref(contexts[i].snapshot);
    }
    return r;
}

static bool check_request(struct call *call, const struct compare_request *request)
{
    if (request->n_base == 0 || request->n_candidate == 0) {
        error_set(&call->error, "invalid_params", "base and candidate: at least one run each");
    } else if (request->n_base > MAX_RUNS_OF_SIDE || request->n_candidate > MAX_RUNS_OF_SIDE) {
        error_set(&call->error, "invalid_params", "base and candidate: at most %u runs each",
                  MAX_RUNS_OF_SIDE);
    } else if (request->gates.n_functions > MAX_FUNCTION_GATES) {
        error_set(&call->error, "invalid_params", "gates.functions: at most %u",
                  MAX_FUNCTION_GATES);
    }
    return !error_is_set(&call->error);
}

/* False: the call has been settled. */
static bool find_runs(struct call *call, const struct compare_request *request)
{
    struct run *runs[2 * MAX_RUNS_OF_SIDE];
    size_t n_runs = request->n_base + request->n_candidate;
    for (size_t i = 0; i < n_runs; i++) {
        run_id id =
            i < request->n_base ? request->base[i] : request->candidate[i - request->n_base];
        if (!run_choice_for_query(call, id)) {
            return false;
        }
        runs[i] = call->run;
    }
    if (call_set_runs(call, runs, n_runs) < 0) {
        call_fail(call, "limit", "out of memory");
        return false;
    }
    return true;
}

void handle_run_compare(struct call *call)
{
    const struct compare_request *request = call->params;
    if (!check_request(call, request)) {
        call_fail_as_set(call);
    } else if (find_runs(call, request)) {
        call_work(call, work_compare);
    }
}
