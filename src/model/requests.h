/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * requests - the parameters of the RPC methods
 *
 * Shape:   one struct per method that takes any; a missing JSON member leaves
 *          the default that schema/ names.
 * Owner:   pointers lie in the arena of whoever decoded or built them.
 * Threads: values.
 */

#include <stdbool.h>
#include <stdint.h>

#include "model/results/counters.h"
#include "model/results/intervals.h"
#include "model/results/off_cpu.h"
#include "model/results/target.h"
#include "model/results/top.h"
#include "model/view.h"

/* What freezes the last seconds of a flight recorder. */
struct ring_trigger {
    const char *on; /* "off-cpu", "runq" or the name of a wait_reason */
    uint64_t longer_than_ns;
};

struct start_request { /* run.start → run_info */
    int64_t pid;
    bool launched;         /* pid is suspended before its exec; the reply means that it may go on */
    const char *command;   /* as people should see it; NULL: read from the process */
    uint32_t frequency_hz; /* default LIMIT_FREQUENCY_DEFAULT_HZ */
    uint64_t time_limit_ns; /* 0: none */
    bool follow_children, no_kernel, no_off_cpu;
    bool counters; /* of the processor */
    bool no_dwarf_unwind;
    uint32_t stack_bytes;      /* copied with each sample; 0: as many as needed */
    uint64_t max_memory_bytes; /* default LIMIT_MEMORY_DEFAULT_BYTES */
    uint64_t ring_ns;          /* keep only so much history; 0: all */
    size_t n_triggers;
    struct ring_trigger *triggers; /* with ring_ns only */
    const char *daemon_socket;
    const char
        *replay; /* a synthetic stream instead of a target; only with stax-server --allow-replay */
};

struct run_request { /* run.stop, run.select → run_info */
    run_id run;      /* 0: the active one */
};

struct freeze_request { /* run.freeze → run_info, of the part */
    run_id run;         /* 0: the active one */
    uint64_t back_ns;   /* 0: as much as its ring keeps; without a ring, all of it */
    const char *reason; /* NULL: none is told */
};

struct save_request { /* run.save → save_result */
    run_id run;
    const char *path; /* absolute, on the server's machine */
};

struct open_request { /* run.open → run_info */
    const char *path;
    bool keep_selection;
};

struct export_request { /* run.export → export_result */
    struct view view;
    const char *path;   /* absolute, on the server's machine */
    const char *format; /* NULL: by the path */
};

struct exit_request { /* run.reportExit → run_info; by the parent of a launched target */
    run_id run;
    int32_t exit_status;
};

struct wait_request { /* run.wait → wait_result; at most one condition, none: until it stops */
    run_id run;       /* 0: the active one */
    uint64_t for_samples;
    uint64_t for_ns;
    const char *until_symbol;
    bool has_timeout;
    uint64_t timeout_ns;
};

struct top_request { /* profile.top → top_result */
    struct view view;
    enum top_sort sort;
    enum top_group group;
    uint32_t limit; /* default 20; 0: all */
};

struct flame_request { /* profile.flame → flame_result */
    struct view view;
    uint32_t max_depth;   /* default 0: all */
    double threshold_pct; /* default 0 */
    bool invert;
};

struct threads_request { /* profile.threads → threads_result */
    struct view view;
    uint32_t limit; /* default 0: all */
};

struct off_cpu_request { /* profile.offCpu → off_cpu_result */
    struct view view;
    enum off_cpu_by by; /* default stack */
    bool has_reason;
    enum wait_reason reason;
    uint32_t limit;      /* default 20; 0: all */
    uint32_t max_frames; /* of a stack; default 0: all */
};

struct counters_request { /* profile.counters → counters_result */
    struct view view;
    enum counters_by by; /* default function */
    uint32_t limit;      /* default 20; 0: all */
};

struct intervals_request { /* profile.intervals → intervals_result */
    struct view view;
    enum intervals_order order; /* default longest */
    bool has_reason;
    enum wait_reason reason;
    bool no_stacks;
    uint32_t limit;      /* default 20; 0: all */
    uint32_t max_frames; /* of a stack; default 0: all */
};

struct wakers_request { /* profile.wakers → wakers_result */
    struct view view;
    bool by_stack, chain;
    uint32_t limit;      /* default 20; 0: all */
    uint32_t max_frames; /* of a stack; default 0: all */
};

struct timeline_request { /* profile.timeline → timeline_result */
    struct view view;
    uint32_t buckets; /* default 60 */
    uint32_t limit;   /* default 20; 0: all */
};

struct why_request { /* profile.why → why_result */
    struct view view;
    uint32_t limit;      /* default 20; 0: all that are kept */
    uint32_t max_frames; /* of a stack; default 0: all */
};

/* Patterns of what is asked for; NULL: all. */
struct target_lanes_request { /* profile.targetLanes → target_lanes_result */
    struct view view;
    const char *lane, *name;
    uint32_t limit; /* default 0: all */
};

struct target_top_request { /* profile.targetTop → target_top_result */
    struct view view;
    enum target_top_sort sort; /* default time */
    const char *lane, *name;
    uint32_t limit; /* default 20; 0: all */
};

struct target_spans_request { /* profile.targetSpans → target_spans_result */
    struct view view;
    enum target_spans_order order; /* default longest */
    const char *lane, *name;
    uint32_t limit;      /* default 20; 0: all */
    uint32_t max_frames; /* of a stack; default 0: all */
};

struct target_origins_request { /* profile.targetOrigins → target_origins_result */
    struct view view;
    enum target_origins_by by; /* default stack */
    const char *lane, *name;
    uint32_t limit;      /* of origins, and of waiters; default 20; 0: all */
    uint32_t max_frames; /* of a stack; default 0: all */
};

struct annotate_request { /* profile.annotate → annotate_result */
    struct view view;
    const char *function; /* a name, a part of it, "0x…" or "image+0x…" */
    bool no_source;
    size_t n_source_map;
    char **source_map; /* "FROM=TO" */
};

struct neighbors_request { /* profile.neighbors → neighbors_result */
    struct view view;
    const char *function;
    uint32_t limit; /* default 20; 0: all */
};

struct diagnose_request { /* server.diagnostics → diagnose_result */
    run_id run;
};

struct compare_function_gate {
    const char *name; /* as of neighbors_request; all functions that fit best are meant */
    double growth_pp; /* its share may not grow significantly by more percentage points */
};

/* How much larger than the base's the candidate's figures may be; what is not there is no limit. */
struct compare_gates {
    bool has_active_delta_ns, has_off_cpu_delta_ns, has_target_delta_ns, has_target_growth_pct;
    uint64_t active_delta_ns, off_cpu_delta_ns, target_delta_ns;
    double target_growth_pct; /* of the base's target time */
    bool has_unlinked_origins_delta, has_missing_origins_delta, has_bad_duration_drops_delta;
    bool has_target_queue_drops_delta, has_worker_disconnect_drops_delta;
    uint64_t unlinked_origins_delta, missing_origins_delta, bad_duration_drops_delta;
    uint64_t target_queue_drops_delta, worker_disconnect_drops_delta;
    size_t n_functions;
    struct compare_function_gate *functions;
};

struct compare_request { /* run.compare → compare_result */
    size_t n_base;
    run_id *base; /* at least one */
    size_t n_candidate;
    run_id *candidate;
    uint32_t limit; /* default 20; 0: all */
    struct compare_gates gates;
};
