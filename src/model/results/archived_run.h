/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * archived_run - what an archive keeps of a run beside its events: run.json
 *
 * Facts that only the host of the recording knew: what could not be captured
 * there, and what stood behind descriptors and addresses.
 *
 * Owner, Threads: see result.h.
 */

#include "model/results/run.h"

struct archived_counter {
    const char *name;
    bool available;
    const char *reason; /* why not */
};

/* What a thread waited for. */
struct archived_object {
    int64_t pid;
    bool is_address; /* of data; else a descriptor */
    uint64_t value;
    const char *text;
};

/* Where it was recorded; texts are NULL where nothing says them. */
struct archived_host {
    const char *os, *kernel, *architecture;
    uint32_t cpus;
    const char *cpu_model;
};

struct archived_run {
    struct run_info run;
    struct archived_host host;
    uint64_t saved_at_unix_ns;
    bool was_recording;             /* saved before its end */
    bool has_kernel;                /* kernel frames were wanted */
    const char *wakeups_unrecorded; /* why the host told of none; NULL: it did */
    const char *counters_unrecorded;
    bool counters_wanted, counters_available, counters_user_only;
    const char *counters_reason, *counters_fix;
    size_t n_counters;
    struct archived_counter *counters; /* by slot */
    size_t n_objects;
    struct archived_object *objects;
};
