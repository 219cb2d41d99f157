/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * doctor - what stands in the way of a good recording, and the fix
 *
 * Owner, Threads: see result.h.
 */

#include "model/results/result.h"

enum doctor_state { DOCTOR_STATE_OK, DOCTOR_STATE_WARN, DOCTOR_STATE_BROKEN };

struct doctor_finding {
    const char *area;    /* "host", "server", "run", "unwinding", "symbols" */
    const char *subject; /* "perf_event_paranoid", or the image's path */
    enum doctor_state state;
    const char *text; /* what was found */
    const char *fix;  /* what to type; NULL where nothing is to be done */
};

struct doctor_result {
    bool has_server;
    run_id run; /* looked at; 0: none */
    uint64_t broken, warnings;
    size_t n_findings;
    struct doctor_finding *findings;
};
