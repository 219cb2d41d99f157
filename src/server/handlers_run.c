/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "model/capability.h"
#include "model/requests.h"
#include "model/results/run.h"
#include "server/capture_choice.h"
#include "server/handlers.h"
#include "server/ring_triggers.h"
#include "server/ring_watch.h"
#include "server/run_choice.h"
#include "server/run_wait.h"
#include "server/server.h"

int handlers_describe(struct call *call)
{
    _cleanup_(snapshot_unrefp) struct snapshot *snapshot = run_take_snapshot(call->run);
    return run_describe(call->run, snapshot, &call->arena, call->result);
}

static int work_list(struct call *call)
{
    struct run_list_result *result = call->result;
    result->runs = arena_alloc_array(&call->arena, call->n_runs, sizeof(*result->runs));
    if (!result->runs) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < call->n_runs; i++) {
        _cleanup_(snapshot_unrefp) struct snapshot *snapshot = run_take_snapshot(call->runs[i]);
        int r = run_describe(call->runs[i], snapshot, &call->arena, &result->runs[i]);
        if (r < 0) {
            return r;
        }
        result->n_runs = i + 1;
    }
    return 0;
}

void handle_run_list(struct call *call)
{
    const struct run_registry *registry = &call->server->registry;
    if (call_set_runs(call, registry->runs, registry->n_runs) < 0) {
        call_fail(call, "limit", "out of memory");
        return;
    }
    call_work(call, work_list);
}

int handlers_describe_abilities(struct call *call, struct status_result *result)
{
    struct capability_set abilities = {.backend = ""};
    capture_choice_host()->probe(&abilities);
    result->backend = arena_strdup(&call->arena, abilities.backend);
    result->capabilities =
        arena_alloc_array(&call->arena, CAPABILITY_KIND_N, sizeof(*result->capabilities));
    if (!result->backend || !result->capabilities) {
        return -ENOMEM;
    }
    for (int kind = 0; kind < CAPABILITY_KIND_N; kind++) {
        const struct capability *item = &abilities.items[kind];
        result->capabilities[kind] = (struct capability_row){
            .name = capability_kind_name((enum capability_kind)kind),
            .available = item->is_available,
            .reason = item->reason[0] ? arena_strdup(&call->arena, item->reason) : NULL,
            .fix = item->fix[0] ? arena_strdup(&call->arena, item->fix) : NULL,
        };
    }
    result->n_capabilities = CAPABILITY_KIND_N;
    return 0;
}

static int work_status(struct call *call)
{
    struct status_result *result = call->result;
    int r = handlers_describe_abilities(call, result);
    if (r < 0 || !call->run) {
        return r;
    }
    result->active = arena_alloc(&call->arena, sizeof(*result->active));
    if (!result->active) {
        return -ENOMEM;
    }
    _cleanup_(snapshot_unrefp) struct snapshot *snapshot = run_take_snapshot(call->run);
    result->n_active = 1;
    return run_describe(call->run, snapshot, &call->arena, result->active);
}

void handle_run_status(struct call *call)
{
    struct server *server = call->server;
    struct status_result *result = call->result;
    *result = (struct status_result){
        .version = STAX_VERSION,
        .server_pid = getpid(),
        .server_started_at_unix_ns = server->started_at_unix_ns,
        .uptime_ns = clock_now_ns() - server->started_at_ns,
        .socket = arena_strdup(&call->arena, server->access.path),
        .selected = server->registry.selected,
    };
    call_set_run(call, run_registry_active(&server->registry));
    call_work(call, work_status);
}

/* False, with the error set, where it makes no sense. */
static bool check_ring(const struct start_request *request, struct error *reterr_error)
{
    if (request->ring_ns > 0 && request->ring_ns < RING_MIN_NS) {
        error_set(reterr_error, "invalid_params", "ring_ns: at least %u ms",
                  (unsigned)(RING_MIN_NS / NS_PER_MS));
    } else if (request->ring_ns > RING_MAX_NS) {
        error_set(reterr_error, "invalid_params", "ring_ns: at most a year");
    } else if (request->n_triggers > 0 && request->ring_ns == 0) {
        error_set(reterr_error, "invalid_params", "triggers: only with ring_ns");
    } else if (request->n_triggers > 0 && request->no_off_cpu) {
        error_set(reterr_error, "invalid_params", "triggers: with no_off_cpu no wait is recorded");
    } else {
        _cleanup_(ring_triggers_freep) struct ring_triggers *triggers = NULL;
        int r = ring_triggers_new(request->triggers, request->n_triggers, &triggers, reterr_error);
        if (r == -ENOMEM) {
            error_set(reterr_error, "limit", "out of memory");
        }
        return r == 0;
    }
    return false;
}

static bool check_start(struct call *call, const struct start_request *request)
{
    struct server *server = call->server;
    const struct run *active = server->registry.active;
    if (server->is_ending) {
        error_set(&call->error, "busy", "the server is ending");
    } else if (active && server->registry.is_starting) {
        error_set(&call->error, "run_already_active", "another run is already active (run %u)",
                  run_get_id(active));
        error_hint(&call->error, "stax wait or stax stop");
    } else if (active) {
        error_set(&call->error, "run_already_active",
                  "another run is already active (run %u, pid %lld, %s)", run_get_id(active),
                  (long long)run_get_pid(active), run_get_command(active));
        error_hint(&call->error, "stax wait or stax stop");
    } else if (request->replay && !server->allow_replay) {
        error_set(&call->error, "not_supported", "this server plays no replays");
        error_hint(&call->error, "stax-server --allow-replay is for tests and benches");
    } else if (request->frequency_hz < 1 || request->frequency_hz > LIMIT_FREQUENCY_HZ) {
        error_set(&call->error, "invalid_params", "frequency_hz: from 1 to %u", LIMIT_FREQUENCY_HZ);
    } else if (request->stack_bytes != 0 &&
               (request->stack_bytes < LIMIT_STACK_COPY_WISH_MIN_BYTES ||
                request->stack_bytes > LIMIT_STACK_COPY_WISH_MAX_BYTES)) {
        error_set(&call->error, "invalid_params", "stack_bytes: 0, or from %u to %u",
                  LIMIT_STACK_COPY_WISH_MIN_BYTES, LIMIT_STACK_COPY_WISH_MAX_BYTES);
    } else if (check_ring(request, &call->error) && !server_get_symbolizer(server)) {
        error_set(&call->error, "limit", "out of memory");
    }
    return !error_is_set(&call->error);
}

void handle_run_start(struct call *call)
{
    struct server *server = call->server;
    const struct start_request *request = call->params;
    if (!check_start(call, request)) {
        call_fail_as_set(call);
        return;
    }
    const struct run_config config = {
        .id = run_registry_next_id(&server->registry),
        .capture = capture_choice_for(request),
        .request = request,
        .symbolizer = server->symbolizer,
        .cfi_store = server_get_cfi_store(server),
        .producers = &server->producers,
        .on_change = server_on_run_change,
        .userdata = server,
    };
    struct run *run = NULL;
    int r = run_new(&config, &run);
    if (r < 0) {
        error_set_errno(&call->error, r, "starting a run");
        call_fail_as_set(call);
        return;
    }
    run_registry_begin(&server->registry, run);
    handlers_offer_producers(server, run);
    if (ring_watch_begin(server, run, &call->error) < 0) {
        log_warn("run %u: its triggers are not watched", run_get_id(run)); /* no memory */
    }
    server->start_call = call;
}

void handle_run_wait(struct call *call)
{
    const struct wait_request *request = call->params;
    bool has_symbol = request->until_symbol && request->until_symbol[0];
    if ((request->for_samples > 0) + (request->for_ns > 0) + has_symbol > 1) {
        call_fail(call, "invalid_params",
                  "for_samples, for_ns and until_symbol exclude each other");
        return;
    }
    if (request->until_symbol && !has_symbol) {
        call_fail(call, "invalid_params", "until_symbol: empty");
        return;
    }
    if (run_choice_for_control(call, request->run)) {
        run_wait_add(call);
    }
}

void handle_run_stop(struct call *call)
{
    const struct run_request *request = call->params;
    if (!run_choice_for_control(call, request->run)) {
        return;
    }
    if (run_get_phase(call->run) == RUN_PHASE_STOPPED) {
        call_work(call, handlers_describe);
        return;
    }
    run_stop(call->run, RUN_END_STOPPED);
    call->next = call->server->stop_calls;
    call->server->stop_calls = call;
}

void handle_run_select(struct call *call)
{
    const struct run_request *request = call->params;
    if (run_choice_for_control(call, request->run)) {
        run_registry_select(&call->server->registry, run_get_id(call->run));
        call_work(call, handlers_describe);
    }
}

void handle_run_report_exit(struct call *call)
{
    const struct exit_request *request = call->params;
    if (run_choice_for_query(call, request->run)) {
        run_set_exit_status(call->run, request->exit_status);
        call_work(call, handlers_describe);
    }
}

/* The starting run has come to a result. */
static void settle_start(struct server *server)
{
    struct call *call = TAKE_PTR(server->start_call);
    struct run *run = server->registry.active;
    if (run_get_phase(run) == RUN_PHASE_FAILED) {
        run_join(run);
        if (handlers_open_failed(server)) {
            return;
        }
        call->error = *run_get_error(run);
        run_unref(run_registry_abandon(&server->registry));
        call_fail_as_set(call);
        return;
    }
    run_registry_commit(&server->registry);
    if (!call) {
        return; /* an import: answered when all of it is read */
    }
    log_info("run %u: recording pid %lld, %s", run_get_id(run), (long long)run_get_pid(run),
             run_get_command(run));
    call_set_run(call, run);
    call_work(call, handlers_describe);
}

/* The active run is over, and everything of it is folded. */
static void settle_stop(struct server *server)
{
    struct run *run = server->registry.active;
    run_join(run);
    log_info("run %u: stopped, %llu samples", run_get_id(run),
             (unsigned long long)run_get_samples(run));
    run_registry_retire(&server->registry);
    handlers_open_done(server, run);
    struct call *call = TAKE_PTR(server->stop_calls);
    while (call) {
        struct call *next = TAKE_PTR(call->next);
        call_work(call, handlers_describe);
        call = next;
    }
}

void handlers_run_on_change(struct server *server)
{
    struct run *run = server->registry.active;
    enum run_phase phase = run ? run_get_phase(run) : RUN_PHASE_STARTING;
    if (!run || phase == RUN_PHASE_STARTING) {
        return;
    }
    if (server->registry.is_starting) {
        settle_start(server);
    }
    if (phase == RUN_PHASE_STOPPED) {
        settle_stop(server);
    }
    ring_watch_on_change(server);
    run_wait_check(server);
}
