/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run - one recording as the registry tells it; status, list, wait
 *
 * Owner, Threads: see result.h.
 */

#include "model/results/result.h"

struct run_info {
    run_id id;
    enum run_state state;
    int64_t pid;
    const char *command;
    uint64_t started_at_unix_ns;
    uint64_t duration_ns;
    uint32_t frequency_hz;
    uint64_t samples, intervals, wakeups, spans, lost, threads;
    bool has_exit_status;
    int32_t exit_status; /* as the shell has it: 128+N after signal N */
    const char
        *stop_reason; /* "target exited", "stopped", "time limit", … ; NULL while recording */
    bool is_launched;
    const char *backend; /* how it is captured */
    size_t n_notes;
    char **notes; /* what could not be captured and the exact fix, one line each */
    uint64_t memory_bytes;
    uint64_t ring_ns;         /* a flight recorder keeps so much history; 0: all */
    run_id frozen_from;       /* it is a part of that run; 0: of none */
    uint64_t folded_until_ns; /* raw events before this were folded away (--max-memory); 0: none */
};

struct run_list_result {
    size_t n_runs;
    struct run_info *runs; /* oldest first */
};

struct capability_row {
    const char *name;
    bool available;
    const char *reason;
    const char *fix;
};

struct status_result {
    const char *version;
    int64_t server_pid;
    uint64_t server_started_at_unix_ns;
    uint64_t uptime_ns;
    const char *socket;
    const char *backend;
    size_t n_capabilities;
    struct capability_row *capabilities;
    size_t n_active;
    struct run_info *active; /* 0 or 1 */
    run_id selected;         /* 0: none */
};

enum wait_outcome { WAIT_OUTCOME_MET, WAIT_OUTCOME_STOPPED, WAIT_OUTCOME_TIMED_OUT };

struct wait_result {
    enum wait_outcome outcome;
    struct run_info run;
};
