/* SPDX-License-Identifier: MIT */
#include "model/wait_reason.h"

#include <stddef.h>
#include <strings.h>

static const char *const names[WAIT_REASON_N] = {
    [WAIT_REASON_IDLE] = "idle",   [WAIT_REASON_LOCK] = "lock",   [WAIT_REASON_SEM] = "sem",
    [WAIT_REASON_IPC] = "ipc",     [WAIT_REASON_IO_R] = "ioR",    [WAIT_REASON_IO_W] = "ioW",
    [WAIT_REASON_READY] = "ready", [WAIT_REASON_SLEEP] = "sleep", [WAIT_REASON_CONN] = "conn",
    [WAIT_REASON_OTHER] = "other",
};

const char *wait_reason_name(enum wait_reason reason)
{
    if ((unsigned int)reason >= WAIT_REASON_N) {
        return "unknown";
    }
    return names[reason];
}

bool wait_reason_parse(const char *name, enum wait_reason *ret_reason)
{
    if (name == NULL) {
        return false;
    }
    for (int reason = 0; reason < WAIT_REASON_N; reason++) {
        if (strcasecmp(name, names[reason]) == 0) {
            *ret_reason = (enum wait_reason)reason;
            return true;
        }
    }
    return false;
}
