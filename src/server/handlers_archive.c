/* SPDX-License-Identifier: MIT */
/*
 * Runs to files and back. Both take long, so they happen in the pool; an
 * opened run is entered on the main loop, which alone knows the runs.
 */
#include <errno.h>
#include <stddef.h>

#include "base/log.h"
#include "interchange/export.h"
#include "interchange/import.h"
#include "model/requests.h"
#include "model/results/archive.h"
#include "query/query.h"
#include "server/capture_choice.h"
#include "server/handlers.h"
#include "server/run_choice.h"
#include "server/run_export.h"
#include "server/run_open.h"
#include "server/run_save.h"
#include "server/server.h"

/* The server's own working directory is none that a person means. */
static bool check_path(struct call *call, const char *path)
{
    if (path[0] != '/') {
        error_set(&call->error, "invalid_params", "path: '%s' is not absolute", path);
        call_fail_as_set(call);
        return false;
    }
    return true;
}

/* Each waits for names, and keeps a thread meanwhile that others could be answered on. */
#define SAVES_MAX 2u

static int work_save(struct call *call)
{
    const struct save_request *request = call->params;
    atomic_uint *n_saves = &call->server->n_saves;
    int r = -EBUSY;
    if (atomic_fetch_add(n_saves, 1) < SAVES_MAX) {
        r = run_save(call->run, request->path, &call->arena, call->result, &call->error);
    } else {
        error_set(&call->error, "busy", "%u archives are being saved already", SAVES_MAX);
        error_hint(&call->error, "save again when they are done");
    }
    atomic_fetch_sub(n_saves, 1);
    return r;
}

void handle_run_save(struct call *call)
{
    const struct save_request *request = call->params;
    if (check_path(call, request->path) && run_choice_for_query(call, request->run)) {
        call_work(call, work_save);
    }
}

static bool check_idle(struct call *call)
{
    const struct run *active = call->server->registry.active;
    if (!active) {
        return true;
    }
    error_set(&call->error, "run_already_active",
              "nothing is opened while a run is active (run %u)", run_get_id(active));
    error_hint(&call->error, "stax wait or stax stop");
    return false;
}

/* An archive of ours becomes a run at once; what another tool has recorded is looked at. */
static int work_open(struct call *call)
{
    const struct open_request *request = call->params;
    if (import_detect(request->path) != IMPORT_NONE) {
        return import_open(request->path, &call->import, &call->error);
    }
    struct run *run = NULL;
    int r = run_open(request->path, call->server->symbolizer, &run, &call->error);
    if (r == 0) {
        call->run = run;
    }
    return r;
}

/* Its events go the way of those of a recording. */
static void begin_import(struct call *call)
{
    struct server *server = call->server;
    const struct open_request *request = call->params;
    const struct import_facts *facts = import_get_facts(call->import);
    const struct start_request start = {
        .pid = facts->pid,
        .command = facts->command[0] ? facts->command : request->path,
        .frequency_hz = facts->frequency_hz,
        .no_off_cpu = !facts->has_switches,
        .max_memory_bytes = LIMIT_MEMORY_DEFAULT_BYTES,
        .replay = request->path,
    };
    const struct run_config config = {
        .id = run_registry_next_id(&server->registry),
        .capture = capture_choice_import(),
        .request = &start,
        .symbolizer = server->symbolizer,
        .cfi_store = server_get_cfi_store(server),
        .take_import = TAKE_PTR(call->import),
        .on_change = server_on_run_change,
        .userdata = server,
    };
    struct run *run = NULL;
    int r = run_new(&config, &run);
    if (r < 0) {
        error_set_errno(&call->error, r, "starting to import");
        call_fail_as_set(call);
        return;
    }
    run_registry_begin(&server->registry, run);
    if (request->keep_selection) {
        run_registry_keep_selection(&server->registry);
    }
    server->open_call = call;
}

bool handlers_open_failed(struct server *server)
{
    struct call *call = TAKE_PTR(server->open_call);
    if (!call) {
        return false;
    }
    call->error = *run_get_error(server->registry.active);
    run_unref(run_registry_abandon(&server->registry));
    call_fail_as_set(call);
    return true;
}

void handlers_open_done(struct server *server, struct run *run)
{
    struct call *call = TAKE_PTR(server->open_call);
    if (call) {
        call_set_run(call, run);
        call_work(call, handlers_describe);
    }
}

/* On the main loop: a recording may have begun meanwhile. */
static void enter_opened(struct call *call)
{
    const struct open_request *request = call->params;
    if (!check_idle(call)) {
        call_fail_as_set(call);
    } else if (call->import) {
        begin_import(call);
    } else {
        run_registry_add(&call->server->registry, run_ref(call->run), request->keep_selection);
        log_info("run %u: opened, %llu samples", run_get_id(call->run),
                 (unsigned long long)run_get_samples(call->run));
        call_work(call, handlers_describe);
    }
}

void handle_run_open(struct call *call)
{
    const struct open_request *request = call->params;
    if (!check_path(call, request->path)) {
        return;
    }
    if (!server_get_symbolizer(call->server)) {
        call_fail(call, "limit", "out of memory");
    } else if (check_idle(call)) {
        call_work_then(call, work_open, enter_opened);
    } else {
        call_fail_as_set(call);
    }
}

_Static_assert(offsetof(struct export_request, view) == 0, "each request begins with its view");

static int choose_format(struct call *call, enum export_format *ret_format)
{
    const struct export_request *request = call->params;
    if (request->format && !export_format_parse(request->format, ret_format)) {
        error_set(&call->error, "invalid_params", "format: '%s' is none of %s", request->format,
                  export_format_list());
        return -EINVAL;
    }
    if (!request->format && !export_format_of(request->path, ret_format)) {
        error_set(&call->error, "invalid_params", "the name %s tells no format", request->path);
        error_hint(&call->error, "say one with --format: %s", export_format_list());
        return -EINVAL;
    }
    return 0;
}

static int work_export(struct call *call)
{
    const struct export_request *request = call->params;
    struct export_result *result = call->result;
    enum export_format format;
    int r = choose_format(call, &format);
    if (r < 0) {
        return r;
    }
    struct query_context context;
    r = handlers_take_snapshot(call, call->run, &request->view, &context);
    if (r < 0) {
        return r;
    }
    struct run_info info;
    struct export_tally tally = {.n_bytes = 0};
    r = run_describe(call->run, context.snapshot, &call->arena, &info);
    const struct export_source source = {.query = &context, .run = &info};
    r = r ? r : run_export(&source, format, request->path, &tally, &call->error);
    *result = (struct export_result){
        .run = {.id = context.run,
                .state = context.state,
                .sequence = context.snapshot->sequence,
                .duration_ns = context.snapshot->now_ns - context.snapshot->start_ns},
        .path = request->path,
        .format = export_format_name(format),
        .file_bytes = tally.n_bytes,
        .threads = tally.n_threads,
        .samples = tally.n_samples,
        .waits = tally.n_waits,
        .cpu_ns = tally.cpu_ns,
        .off_cpu_ns = tally.off_cpu_ns,
        .spans = tally.n_spans,
        .target_ns = tally.target_ns,
    };
    snapshot_unref(context.snapshot);
    return r;
}

void handle_run_export(struct call *call)
{
    const struct export_request *request = call->params;
    if (check_path(call, request->path) && run_choice_for_query(call, request->view.run)) {
        call_work(call, work_export);
    }
}
