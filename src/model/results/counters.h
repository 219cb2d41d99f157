/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * counters - what the processor's counters have counted, by function or thread
 *
 * Shape:   a value whose counter is not read on this host, or never counted
 *          for a thread, is absent: it is not zero.
 * Owner, Threads: see result.h.
 */

#include "model/results/result.h"

/* What a row stands for. */
enum counters_by { COUNTERS_BY_FUNCTION, COUNTERS_BY_THREAD };

/* One of the counters, in the order of the columns. */
struct counter_state {
    const char *name;
    bool available;
    const char *reason; /* why not; NULL: it is */
};

struct counters_row {
    const char *name;  /* of the function or thread */
    const char *image; /* NULL: by thread */
    enum frame_kind kind;
    bool inlined;
    int64_t tid; /* 0: by function */
    bool has_cycles, has_instructions, has_ipc, has_l1d_misses, has_branch_misses;
    uint64_t cycles, instructions, l1d_misses, branch_misses;
    double ipc;
    bool scaled; /* the counters were taken away for a while, and what they missed is estimated */
    double counted_pct; /* of the time on a CPU */
    uint64_t samples;   /* readings */
};

struct counters_result {
    struct run_stamp run;
    struct view_echo view;
    enum counters_by by;
    bool available;     /* any counter was read in this run */
    bool host_has;      /* this host has counters for us to read */
    const char *reason; /* why not; NULL: it was */
    const char *fix;    /* what to type; NULL: nothing helps */
    bool user_only;     /* kernel mode is not counted */
    size_t n_counters;
    struct counter_state *counters;
    struct counters_row total; /* of all rows */
    uint64_t dropped;          /* readings that made no sense, or had no room */
    uint64_t all_rows;         /* how many there are without the limit */
    size_t n_rows;
    struct counters_row *rows; /* by the first counter that there is */
    const char *hint;
};
