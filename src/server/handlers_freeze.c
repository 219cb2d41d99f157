/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/log.h"
#include "model/requests.h"
#include "server/handlers.h"
#include "server/run_choice.h"
#include "server/run_freeze.h"
#include "server/server.h"

/* In the pool. */
static int work_freeze(struct call *call)
{
    const struct freeze_request *request = call->params;
    _cleanup_(snapshot_unrefp) struct snapshot *snapshot = run_take_snapshot(call->run);
    if (!snapshot) {
        return -ENOMEM;
    }
    uint64_t back_ns = request->back_ns ? request->back_ns : run_get_request(call->run)->ring_ns;
    const struct run_part part = {
        .from_ns = back_ns > 0 && back_ns < snapshot->now_ns ? snapshot->now_ns - back_ns : 0,
        .to_ns = snapshot->now_ns,
        .reason = request->reason && request->reason[0] ? request->reason : NULL,
    };
    return run_freeze(call->run, snapshot, &part, &call->part, &call->error);
}

/* On the main loop, which alone knows the runs. The call is about the frozen one from then on. */
static void enter_frozen(struct call *call)
{
    run_registry_add_part(&call->server->registry, run_ref(call->part));
    run_note_frozen(call->run, call->part);
    log_info("run %u: a part of it is run %u", run_get_id(call->run), run_get_id(call->part));
    call_set_run(call, call->part);
    call_work(call, handlers_describe);
}

void handle_run_freeze(struct call *call)
{
    const struct freeze_request *request = call->params;
    if (run_choice_for_control(call, request->run)) {
        call_work_then(call, work_freeze, enter_frozen);
    }
}
