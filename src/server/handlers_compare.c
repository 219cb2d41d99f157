/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/clock.h"
#include "compare/compare.h"
#include "compare/compare_hint.h"
#include "model/requests.h"
#include "query/query_names.h"
#include "server/handlers.h"
#include "server/run_choice.h"
#include "server/server.h"

#define MAX_RUNS_OF_SIDE 100u
#define MAX_FUNCTION_GATES 256u

#define NAMES_WAIT_NS (20 * NS_PER_S) /* of all runs together */

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

static int left_ms(uint64_t until_ns)
{
    uint64_t now_ns = clock_now_ns();
    return now_ns < until_ns ? (int)((until_ns - now_ns) / NS_PER_MS) : 0;
}

/*
 * A function that one side knows by its name, and the other not yet, would be new or gone. Are all
 * names and inlined functions there?
 */
static bool wait_for_names(const struct call *call, const struct query_context *contexts)
{
    uint64_t until_ns = clock_now_ns() + NAMES_WAIT_NS;
    bool is_complete = true;
    for (size_t i = 0; i < call->n_runs; i++) {
        query_names_settle(contexts[i].names, left_ms(until_ns));
    }
    for (size_t i = 0; i < call->n_runs; i++) {
        is_complete =
            query_names_settle_chains(contexts[i].names, contexts[i].snapshot, left_ms(until_ns)) &&
            is_complete;
        if (contexts[i].state != RUN_STATE_RECORDING) {
            run_settle_jit(call->runs[i], left_ms(until_ns));
        }
    }
    return is_complete;
}

static int hint_at_names(struct call *call)
{
    return compare_hint_add(call->result, &call->arena,
                            "inlined functions are not all known: debug information is still being "
                            "read, and what it names is a part of its callers so far; compare "
                            "again");
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
    bool has_names = r == 0 && wait_for_names(call, contexts);
    r = r ? r : compare_runs(&base, &candidate, request, result, &call->error);
    if (r == 0) {
        result->base.command = command_of(call, 0);
        result->candidate.command = command_of(call, request->n_base);
        r = has_names ? 0 : hint_at_names(call);
    }
    for (size_t i = 0; i < call->n_runs; i++) {
        snapshot_unref(contexts[i].snapshot);
    }
    return r;
}

static bool has_twice(const run_id *runs, size_t n_runs, run_id *ret_run)
{
    for (size_t i = 0; i < n_runs; i++) {
        for (size_t k = 0; k < i; k++) {
            if (runs[k] == runs[i]) {
                *ret_run = runs[i];
                return true;
            }
        }
    }
    return false;
}

/* A run that stands on one side twice differs from itself by nothing: no evidence, but it would be
 * taken for some. */
static void check_twice(struct call *call, const struct compare_request *request)
{
    run_id run;
    if (has_twice(request->base, request->n_base, &run) ||
        has_twice(request->candidate, request->n_candidate, &run)) {
        error_set(&call->error, "invalid_params",
                  "base and candidate: run %u is on one side twice, which tells no more than once",
                  run);
    }
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
    } else {
        check_twice(call, request);
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
