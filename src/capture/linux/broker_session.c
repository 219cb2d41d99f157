/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "capture/linux/broker_client.h"
#include "capture/linux/perf_session_internal.h"

/* One line: what is missing, why staxd does not bring it, and what would. */
static void note_missing(struct capture *capture, const struct error *absence)
{
    char note[400];
    (void)snprintf(
        note, sizeof(note),
        "kernel frames are not recorded (perf_event_paranoid=%d; %.140s); to see them: %.120s, "
        "or `sudo sysctl kernel.perf_event_paranoid=1`, or record as root",
        capture->host.perf_event_paranoid, absence->message,
        absence->hint[0] ? absence->hint : "`sudo stax setup`");
    perf_session_note(capture, note);
}

static int ask(struct capture *capture, struct error *reterr_error)
{
    _cleanup_(broker_client_freep) struct broker_client *client = NULL;
    int r = broker_client_new(capture->config.daemon_socket, &client, reterr_error);
    if (r == 0) {
        r = broker_client_open_session(client, capture->config.pidfd, reterr_error);
    }
    if (r == 0 && (broker_client_abilities(client) & BROKER_CAN_KERNEL_STACKS) == 0 &&
        host_allows_user(&capture->host)) {
        error_set(reterr_error, "no_broker", "staxd here forbids kernel stacks");
        r = -EACCES;
    }
    if (r == 0 && (broker_client_abilities(client) & BROKER_CAN_KERNEL_NAMES) != 0) {
        capture->kernel_names_fd = broker_client_open_kernel_names(client);
    }
    if (r == 0) {
        capture->broker = TAKE_PTR(client);
    }
    return r;
}

int broker_session_open(struct capture *capture, struct error *reterr_error)
{
    bool may_user = host_allows_user(&capture->host),
         may_kernel = host_allows_kernel(&capture->host);
    struct error absence = {0};
    capture->excludes_kernel = !may_kernel;
    if (may_kernel || (may_user && capture->config.no_kernel)) {
        return 0;
    }
    int r = ask(capture, &absence);
    if (r == 0) {
        capture->excludes_kernel =
            (broker_client_abilities(capture->broker) & BROKER_CAN_KERNEL_STACKS) == 0;
        return 0;
    }
    log_debug("staxd: %s", absence.message);
    if (may_user) {
        note_missing(capture, &absence);
        return 0;
    }
    if (strcmp(absence.code, "no_broker") != 0) {
        *reterr_error = absence;
        return r;
    }
    /* Some distributions' kernels refuse from 3 on, others know no 3: what the administrator
     * asked for counts. */
    perf_session_explain(capture, -EACCES, false, reterr_error);
    return -EACCES;
}

bool broker_session_probe(uint32_t *ret_abilities, struct error *reterr_error)
{
    _cleanup_(broker_client_freep) struct broker_client *client = NULL;
    if (broker_client_new(NULL, &client, reterr_error) != 0) {
        return false;
    }
    *ret_abilities = broker_client_abilities(client);
    return true;
}
