/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "capture/linux/bpf_programs.h"
#include "capture/linux/broker_client.h"
#include "capture/linux/perf_session_internal.h"

/* One line: what is missing, why staxd does not bring it, and what would. */
static void note_missing(struct capture *capture, const struct error *absence)
{
    char note[400];
    (void)snprintf(
        note, sizeof(note),
        "no kernel frames, no wakers, and where threads wait is found by looking now and then "
        "(perf_event_paranoid=%d; %.100s); for all of it: %.100s, or record as root",
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
    if (r == 0 && !capture->config.no_kernel &&
        (broker_client_abilities(client) & BROKER_CAN_KERNEL_NAMES) != 0) {
        capture->kernel_names_fd = broker_client_open_kernel_names(client);
    }
    if (r == 0) {
        capture->broker = TAKE_PTR(client);
    }
    return r;
}

void broker_session_close(struct capture *capture)
{
    sched_rings_release(&capture->sched_rings);
    for (size_t i = 0; i < capture->n_switch_fds; i++) {
        fd_close(capture->switch_fds[i]);
    }
    free(capture->switch_fds);
    capture->switch_fds = NULL;
    capture->n_switch_fds = 0;
    capture->kernel_names_fd = fd_close(capture->kernel_names_fd);
    capture->broker = broker_client_free(capture->broker);
}

/* The rings of all CPUs, and what was lost after them. */
static int open_rings(struct capture *capture)
{
    uint32_t n_rings = capture->sources.cpus[capture->sources.n_cpus - 1] + 1;
    capture->switch_fds = calloc(n_rings + 1, sizeof(*capture->switch_fds));
    if (!capture->switch_fds) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i <= n_rings; i++) {
        int fd =
            broker_client_open_switches(capture->broker, i < n_rings ? i : BROKER_SWITCHES_LOST);
        if (fd < 0) {
            return fd;
        }
        capture->switch_fds[capture->n_switch_fds++] = fd;
    }
    const struct sched_rings_fds fds = {
        .ring_fds = capture->switch_fds,
        .n_rings = n_rings,
        .ring_bytes = BROKER_SWITCHES_RING_BYTES,
        .lost_fd = capture->switch_fds[n_rings],
    };
    return sched_rings_open(&fds, &capture->sched_rings);
}

/* Waits and wakeups by programs that staxd keeps; they tell of one process, by its own number. */
static void open_switches(struct capture *capture)
{
    char note[400];
    if (capture->config.no_off_cpu || capture->config.follow_children ||
        (broker_client_abilities(capture->broker) & BROKER_CAN_SWITCHES) == 0 ||
        bpf_programs_check_namespace() != 0) {
        return;
    }
    int r = broker_client_start_switches(capture->broker, capture->config.no_kernel);
    if (r == 0) {
        r = open_rings(capture);
    }
    if (r != 0) {
        (void)snprintf(note, sizeof(note),
                       "waits have no exact stacks and no wakers here: staxd does not tell of "
                       "them: %s",
                       strerror(-r));
        perf_session_note(capture, note);
    }
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
        open_switches(capture);
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
