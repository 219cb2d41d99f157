/* SPDX-License-Identifier: MIT */
#include "model/lane.h"

const char *lane_kind_name(enum lane_kind kind)
{
    static const char *const names[LANE_KIND_N] = {
        [LANE_KIND_GENERIC] = "generic",
        [LANE_KIND_GPU] = "gpu",
        [LANE_KIND_METAL] = "metal",
        [LANE_KIND_CUDA] = "cuda",
        [LANE_KIND_EXECUTOR] = "executor",
        [LANE_KIND_IO] = "io",
        [LANE_KIND_DB] = "db",
    };
    return (unsigned)kind < LANE_KIND_N ? names[kind] : names[LANE_KIND_GENERIC];
}

const char *origin_state_name(enum origin_state state)
{
    static const char *const names[ORIGIN_STATE_N] = {
        [ORIGIN_LINKED] = "linked",
        [ORIGIN_MISSING] = "missing origin",
        [ORIGIN_NO_THREAD] = "no such thread",
        [ORIGIN_NO_SAMPLE] = "no sample on that thread",
        [ORIGIN_NO_USER_STACK] = "no user stack",
        [ORIGIN_TOO_FAR] = "too far",
        [ORIGIN_SYNTHETIC_TID] = "synthetic tid",
        [ORIGIN_WRONG_PID] = "wrong pid",
        [ORIGIN_OUTSIDE_RUN] = "outside the run",
        [ORIGIN_PENDING] = "pending",
    };
    return (unsigned)state < ORIGIN_STATE_N ? names[state] : "unknown";
}
