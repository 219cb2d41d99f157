/* SPDX-License-Identifier: MIT */
/*
 * What the host allows is judged by the server's own privilege: it is the
 * server that records.
 */
#include <errno.h>
#include <unistd.h>

#include "doctor/doctor.h"
#include "model/requests.h"
#include "query/query_names.h"
#include "server/handlers.h"
#include "server/run_choice.h"
#include "server/run_diagnose.h"
#include "server/server.h"

#define NAMES_WAIT_MS 1000

static int examine_run(struct call *call, struct doctor_list *list)
{
    struct diagnose_result diagnose;
    if (!call->run) {
        doctor_add(list, "run", "run", DOCTOR_STATE_OK, NULL, "nothing has been recorded yet");
        return 0;
    }
    if (run_get_state(call->run) != RUN_STATE_RECORDING) {
        query_names_settle(run_get_names(call->run), NAMES_WAIT_MS);
    }
    int r = run_diagnose(call->run, NULL, &call->arena, &diagnose);
    if (r == 0) {
        doctor_examine_run(list, &diagnose);
    }
    return r;
}

static int work_doctor(struct call *call)
{
    struct doctor_host host;
    struct doctor_list list;
    struct status_result status = {
        .version = STAX_VERSION,
        .server_pid = getpid(),
    };
    int r = doctor_list_init(&list, &call->arena);
    r = r ? r : handlers_describe_abilities(call, &status);
    if (r != 0) {
        return r;
    }
    list.result.has_server = true;
    doctor_host_read("", &host);
    doctor_examine_host(&list, &host);
    doctor_examine_status(&list, &status);
    r = examine_run(call, &list);
    if (r == 0 && list.has_failed) {
        r = -ENOMEM;
    }
    if (r == 0) {
        *(struct doctor_result *)call->result = list.result;
    }
    return r;
}

void handle_server_doctor(struct call *call)
{
    const struct diagnose_request *request = call->params;
    struct run *run = run_registry_meant(&call->server->registry, request->run);
    if (!run && request->run != 0) {
        (void)run_choice_for_query(call, request->run); /* says that there is none */
        return;
    }
    call_set_run(call, run);
    call_work(call, work_doctor);
}
