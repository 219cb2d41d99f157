/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "doctor/doctor.h"

#define HOST "host"
#define MLOCK_LEAST_KB 516  /* the kernel's default: a ring of 128 pages per CPU */
#define RATE_LEAST_HZ 900   /* what record asks for by itself */
#define MAX_STACK_LEAST 127 /* the kernel's default */

static void examine_paranoid(struct doctor_list *list, const struct doctor_host *host)
{
    static const char subject[] = "perf_event_paranoid";
    int64_t level = host->event_paranoid;
    if (level == INT64_MIN) {
        doctor_add(list, HOST, subject, DOCTOR_STATE_BROKEN,
                   "run stax outside the container, or allow perf_event_open in its seccomp "
                   "profile; a kernel needs CONFIG_PERF_EVENTS",
                   "this kernel offers no perf events");
    } else if (host->can_perf) {
        doctor_add(list, HOST, subject, DOCTOR_STATE_OK, NULL,
                   "%" PRId64 ", and you are privileged: everything may be recorded", level);
    } else if (level >= 2 && host->has_broker) {
        doctor_add(list, HOST, subject, DOCTOR_STATE_OK, NULL,
                   "%" PRId64 ", and staxd opens what is missing for your own programs", level);
    } else if (level > 2) {
        doctor_add(list, HOST, subject, DOCTOR_STATE_BROKEN,
                   "sudo stax setup (or: sudo sysctl kernel.perf_event_paranoid=1)",
                   "%" PRId64 ": ordinary users may not profile", level);
    } else if (level == 2) {
        doctor_add(list, HOST, subject, DOCTOR_STATE_WARN,
                   "sudo stax setup (or: sudo sysctl kernel.perf_event_paranoid=1)",
                   "2: your own programs, without kernel frames and exact wait stacks");
    } else {
        doctor_add(list, HOST, subject, DOCTOR_STATE_OK, NULL,
                   "%" PRId64 ": your own programs, kernel frames included", level);
    }
}

static void examine_kernel_names(struct doctor_list *list, const struct doctor_host *host)
{
    static const char subject[] = "kptr_restrict";
    int64_t least_hidden = host->can_syslog ? 2 : 1;
    if (host->kptr_restrict == INT64_MIN) {
        doctor_add(list, HOST, subject, DOCTOR_STATE_OK, NULL, "not known here");
    } else if (host->kptr_restrict >= least_hidden) {
        doctor_add(list, HOST, subject, DOCTOR_STATE_WARN, "sudo sysctl kernel.kptr_restrict=0",
                   "%" PRId64 ": kernel functions have no names", host->kptr_restrict);
    } else {
        doctor_add(list, HOST, subject, DOCTOR_STATE_OK, NULL,
                   "%" PRId64 ": kernel functions have names", host->kptr_restrict);
    }
}

static void examine_limits(struct doctor_list *list, const struct doctor_host *host)
{
    if (host->mlock_kb != INT64_MIN) {
        bool is_small = host->mlock_kb < MLOCK_LEAST_KB && !host->can_perf;
        doctor_add(list, HOST, "perf_event_mlock_kb",
                   is_small ? DOCTOR_STATE_WARN : DOCTOR_STATE_OK,
                   is_small ? "sudo sysctl kernel.perf_event_mlock_kb=516" : NULL,
                   "%" PRId64 " KiB of buffers per CPU%s", host->mlock_kb,
                   is_small ? ": less than the kernel's default, events may be lost" : "");
    }
    if (host->max_sample_rate_hz != INT64_MIN) {
        bool is_low = host->max_sample_rate_hz < RATE_LEAST_HZ;
        doctor_add(list, HOST, "perf_event_max_sample_rate",
                   is_low ? DOCTOR_STATE_WARN : DOCTOR_STATE_OK,
                   is_low ? "sudo sysctl kernel.perf_event_max_sample_rate=100000" : NULL,
                   "%" PRId64 " samples a second at most%s", host->max_sample_rate_hz,
                   is_low ? ": the kernel has lowered it, record's 900 are not reached" : "");
    }
    if (host->max_stack != INT64_MIN) {
        bool is_low = host->max_stack < MAX_STACK_LEAST;
        doctor_add(list, HOST, "perf_event_max_stack", is_low ? DOCTOR_STATE_WARN : DOCTOR_STATE_OK,
                   is_low ? "sudo sysctl kernel.perf_event_max_stack=127" : NULL,
                   "%" PRId64 " frames of a stack by frame pointers", host->max_stack);
    }
}

void doctor_examine_host(struct doctor_list *list, const struct doctor_host *host)
{
    doctor_add(list, HOST, "kernel", DOCTOR_STATE_OK, NULL, "Linux %s", host->kernel);
    examine_paranoid(list, host);
    examine_kernel_names(list, host);
    examine_limits(list, host);
    /* Neither stands in the way: nothing is recorded through tracefs, and a timer counts well. */
    doctor_add(list, HOST, "tracefs", DOCTOR_STATE_OK, NULL, "%s",
               host->has_tracefs ? "mounted and readable" : "not readable, and not needed");
    doctor_add(list, HOST, "counters", DOCTOR_STATE_OK, NULL, "%s",
               host->has_pmu ? "the processor's counters are there"
                             : "the processor has none here, as in most virtual machines: samples "
                               "come from a timer");
    doctor_add(list, HOST, "bpf", host->can_bpf ? DOCTOR_STATE_OK : DOCTOR_STATE_WARN,
               host->can_bpf ? NULL : "sudo stax record …", "%s",
               host->can_bpf ? "programs may be loaded: the cheapest way to record is open"
                             : "programs may not be loaded: events are bound to threads, which "
                               "costs more where threads switch often");
}

void doctor_examine_status(struct doctor_list *list, const struct status_result *status)
{
    doctor_add(list, "server", "server", DOCTOR_STATE_OK, NULL,
               "%s, pid %" PRId64 ", captures by %s", status->version ? status->version : "?",
               status->server_pid, status->backend ? status->backend : "?");
    for (size_t i = 0; i < status->n_capabilities; i++) {
        const struct capability_row *row = &status->capabilities[i];
        bool is_vital = row->name && strcmp(row->name, "on-cpu") == 0;
        bool is_fine = row->available || (!row->fix && !is_vital); /* nobody can change it */
        enum doctor_state state = is_fine    ? DOCTOR_STATE_OK
                                  : is_vital ? DOCTOR_STATE_BROKEN
                                             : DOCTOR_STATE_WARN;
        doctor_add(list, "server", row->name ? row->name : "?", state,
                   row->available ? NULL : row->fix, "%s%s",
                   row->available ? "can be recorded"
                   : row->fix     ? "cannot be recorded: "
                                  : "",
                   row->available ? ""
                   : row->reason  ? row->reason
                                  : "the server does not say why");
    }
}
