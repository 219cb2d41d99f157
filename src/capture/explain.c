/* SPDX-License-Identifier: MIT */
#include "capture/explain.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#define FIX_PARANOID "sudo sysctl kernel.perf_event_paranoid=2"

static void explain_open(int negative_errno, const struct explain_facts *facts,
                         struct error *reterr_error)
{
    switch (-negative_errno) {
    case EACCES:
    case EPERM:
        if (!facts->is_privileged && facts->event_paranoid > 2) {
            error_set(reterr_error, "paranoid",
                      "this host lets no ordinary user profile (kernel.perf_event_paranoid=%d)",
                      facts->event_paranoid);
            error_hint(reterr_error,
                       "`sudo stax setup` installs the broker that lets users profile "
                       "their own programs; or lower it for this boot with "
                       "`" FIX_PARANOID "`, or record as root: "
                       "`sudo stax record …`");
            return;
        }
        if (facts->is_privileged) {
            error_set(reterr_error, "permission",
                      "perf_event_open(2) is refused to stax-server, which has the privilege for "
                      "it: by a sandbox, most likely");
            error_hint(reterr_error,
                       "a container's seccomp profile or a service's SystemCallFilter may forbid "
                       "it; allow perf_event_open, or run stax outside");
            return;
        }
        error_set(reterr_error, "permission",
                  "the kernel does not let you observe process %" PRId64, facts->pid);
        error_hint(reterr_error,
                   "profile your own processes, or run `sudo stax record --pid %" PRId64 "`",
                   facts->pid);
        return;
    case ESRCH:
        error_set(reterr_error, "no_such_process", "there is no process %" PRId64, facts->pid);
        error_hint(reterr_error, "list yours with `ps -u $USER`");
        return;
    case EMFILE:
    case ENFILE:
        error_set(reterr_error, "limit",
                  "too many open files to observe every thread of process %" PRId64, facts->pid);
        error_hint(reterr_error, "raise the limit before stax-server starts: `ulimit -n 65536`");
        return;
    case ENOSYS:
    case ENOENT:
    case EOPNOTSUPP:
        error_set(reterr_error, "not_supported", "this kernel offers no perf events");
        error_hint(reterr_error,
                   "a container's seccomp profile may hide perf_event_open(2); allow it, "
                   "or run stax outside the container");
        return;
    default:
        error_set(reterr_error, "internal", "opening events of process %" PRId64 ": %s", facts->pid,
                  strerror(-negative_errno));
        error_hint(reterr_error, "please report this with the output of `stax status`");
        return;
    }
}

static void explain_ring(int negative_errno, const struct explain_facts *facts,
                         struct error *reterr_error)
{
    if (negative_errno == -EPERM || negative_errno == -ENOMEM) {
        error_set(reterr_error, "limit",
                  "no memory is left for event rings (kernel.perf_event_mlock_kb=%" PRId64 ")",
                  facts->mlock_kb);
        error_hint(reterr_error, "end other profilers of yours, or raise it: "
                                 "`sudo sysctl kernel.perf_event_mlock_kb=1032`");
        return;
    }
    error_set(reterr_error, "internal", "mapping an event ring: %s", strerror(-negative_errno));
    error_hint(reterr_error, "please report this with the output of `stax status`");
}

void explain_refusal(int negative_errno, enum explain_attempt attempt,
                     const struct explain_facts *facts, struct error *reterr_error)
{
    if (facts->event_paranoid == INT_MAX) {
        negative_errno = -ENOSYS;
        attempt = EXPLAIN_OPEN_EVENT;
    }
    switch (attempt) {
    case EXPLAIN_MAP_RING:
        explain_ring(negative_errno, facts, reterr_error);
        return;
    case EXPLAIN_FIND_TARGET:
    case EXPLAIN_OPEN_EVENT:
        explain_open(negative_errno, facts, reterr_error);
        return;
    }
}
