/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * off_cpu_by_reason - time blocked, by what was waited for
 *
 * Owner, Threads: see result.h.
 */

#include <stdint.h>

#include "model/wait_reason.h"

struct off_cpu_by_reason {
    uint64_t idle_ns, lock_ns, sem_ns, ipc_ns, io_r_ns, io_w_ns;
    uint64_t ready_ns, sleep_ns, conn_ns, other_ns;
};

static inline uint64_t *off_cpu_by_reason_at(struct off_cpu_by_reason *times,
                                             enum wait_reason reason)
{
    switch (reason) {
    case WAIT_REASON_IDLE:
        return &times->idle_ns;
    case WAIT_REASON_LOCK:
        return &times->lock_ns;
    case WAIT_REASON_SEM:
        return &times->sem_ns;
    case WAIT_REASON_IPC:
        return &times->ipc_ns;
    case WAIT_REASON_IO_R:
        return &times->io_r_ns;
    case WAIT_REASON_IO_W:
        return &times->io_w_ns;
    case WAIT_REASON_READY:
        return &times->ready_ns;
    case WAIT_REASON_SLEEP:
        return &times->sleep_ns;
    case WAIT_REASON_CONN:
        return &times->conn_ns;
    case WAIT_REASON_OTHER:
    case WAIT_REASON_N:
        break;
    }
    return &times->other_ns;
}
