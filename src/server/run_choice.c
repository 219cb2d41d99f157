/* SPDX-License-Identifier: MIT */
#include "server/run_choice.h"

#include "server/server.h"

static bool choose(struct call *call, struct run *run)
{
    call_set_run(call, run);
    return true;
}

static bool refuse_number(struct call *call, run_id id)
{
    error_set(&call->error, "no_such_run", "there is no run %u", id);
    error_hint(&call->error, "stax list shows the runs that there are");
    call_fail_as_set(call);
    return false;
}

bool run_choice_for_query(struct call *call, run_id id)
{
    struct run *run = run_registry_meant(&call->server->registry, id);
    if (run) {
        return choose(call, run);
    }
    if (id != 0) {
        return refuse_number(call, id);
    }
    error_set(&call->error, "no_active_run", "nothing has been recorded yet");
    error_hint(&call->error, "stax record -- COMMAND records one");
    call_fail_as_set(call);
    return false;
}

bool run_choice_for_control(struct call *call, run_id id)
{
    const struct run_registry *registry = &call->server->registry;
    struct run *run = id != 0 ? run_registry_find(registry, id) : run_registry_active(registry);
    if (run) {
        return choose(call, run);
    }
    if (id != 0) {
        return refuse_number(call, id);
    }
    error_set(&call->error, "no_active_run", "no run is active");
    error_hint(&call->error, "stax list shows the runs that there are");
    call_fail_as_set(call);
    return false;
}
