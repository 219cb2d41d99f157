/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * result - what the results of all queries have in common
 *
 * A query fills one of these structs (model/results/<view>.h), rpc/ turns it
 * into JSON by the field tables made from schema/, the CLI turns that JSON
 * back into the same struct and renders it.
 *
 * Shape:   `n_things` stands before each array. Strings may be NULL (JSON
 *          null or absent). `*_pct` are 0–100 of the view's total.
 * Owner:   everything a result points to lives in the arena of who made it.
 * Threads: values.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/ids.h"

enum run_state { RUN_STATE_RECORDING, RUN_STATE_STOPPED, RUN_STATE_OPENED };

enum frame_kind {
    FRAME_KIND_USER,
    FRAME_KIND_KERNEL,
    FRAME_KIND_JIT,
    FRAME_KIND_VDSO,
    FRAME_KIND_TARGET,
};

/* Which run answered, and how fresh: `sequence` is the number of the last event included. */
struct run_stamp {
    run_id id;
    enum run_state state;
    uint64_t sequence;
    uint64_t duration_ns; /* from the run's first instant to its end or now */
};

/* The view as it was understood: range resolved to run-relative times. */
struct view_echo {
    size_t n_tids;
    int64_t *tids;
    uint64_t from_ns, to_ns;
    size_t n_exclude;
    char **exclude;
    size_t n_focus;
    char **focus;
};

struct totals {
    uint64_t active_ns; /* cpu_ns + target_ns */
    uint64_t cpu_ns;    /* exact, from the scheduler */
    uint64_t target_ns;
    uint64_t off_cpu_ns; /* blocked; time on the run queue is not in it */
    uint64_t runq_ns;
    uint64_t samples;
    uint64_t spans;
};
