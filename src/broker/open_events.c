/* SPDX-License-Identifier: MIT */
#include "broker/open_events.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "broker/sandbox.h"
#include "broker/witness.h"
#include "sources/perf_attr.h"
#include "sources/perf_open.h"

#define ATTEMPTS 4

DEFINE_RELEASEP(witness);

int open_events_check(const struct caller *caller, const struct broker_target *target, pid_t tid)
{
    struct target_facts facts;
    if (!caller->may_observe_all && !sandbox_become(caller->uid, caller->gid)) {
        return -EPERM;
    }
    int r = target_facts_read(target->process_fd, tid, &facts);
    if (!caller->may_observe_all) {
        sandbox_return();
    }
    return r == 0 ? (int)authorize(caller, &facts) : r;
}

static void make_attr(const struct broker_event_request *request, struct perf_event_attr *ret_attr)
{
    const struct perf_attr_config config = {
        .period_ns = request->period_ns,
        .exclude_kernel = (request->flags & BROKER_FLAG_EXCLUDE_KERNEL) != 0,
        .no_kernel_frames = (request->flags & BROKER_FLAG_NO_KERNEL_FRAMES) != 0,
        .inherit_threads = (request->flags & BROKER_FLAG_INHERIT_THREADS) != 0,
        .inherit_children = (request->flags & BROKER_FLAG_INHERIT_CHILDREN) != 0,
        .with_switches = (request->flags & BROKER_FLAG_WITH_SWITCHES) != 0,
        .stack_bytes = request->stack_bytes,
        .wakeup_bytes = request->wakeup_bytes,
    };
    if (request->kind == BROKER_KIND_ANCHOR) {
        perf_attr_anchor(ret_attr);
    } else if (request->kind == BROKER_KIND_SIDE_BAND) {
        perf_attr_side_band(&config, ret_attr);
    } else {
        perf_attr_samples(&config, request->kind == BROKER_KIND_SAMPLES_WITH_SIDE_BAND, ret_attr);
    }
    ret_attr->disabled = 1;
}

/*
 * The order is the point. From the witness on no exec goes unseen, so the
 * program that passes the check is the one that the event is opened on, and
 * whatever it forks from then on has no more privilege than it. What it becomes
 * later is the kernel's: it takes events off a thread whose exec gains privilege.
 */
static int open_once(const struct caller *caller, const struct broker_target *target,
                     const struct broker_event_request *request, int *ret_fd)
{
    _cleanup_(witness_releasep) struct witness witness = {.fd = -1};
    struct perf_event_attr attr;
    int r = witness_open(request->tid, &witness);
    if (r == 0) {
        r = open_events_check(caller, target, request->tid);
    }
    if (r != 0) {
        return r;
    }
    make_attr(request, &attr);
    _cleanup_(fd_closep) int fd = perf_open(&attr, request->tid, request->cpu);
    if (fd < 0) {
        return fd;
    }
    if (!witness_saw_nothing(&witness)) {
        return BROKER_REFUSED_CHANGED;
    }
    if ((request->flags & BROKER_FLAG_ENABLED) != 0 && ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) < 0) {
        return -errno;
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int open_events_open(const struct caller *caller, const struct broker_target *target,
                     const struct broker_event_request *request, int *ret_fd)
{
    int r = BROKER_REFUSED_CHANGED;
    for (int attempt = 0; attempt < ATTEMPTS && r == BROKER_REFUSED_CHANGED; attempt++) {
        r = open_once(caller, target, request, ret_fd);
    }
    return r;
}
