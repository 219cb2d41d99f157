/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * off_cpu - where and why threads waited
 *
 * Owner, Threads: see result.h.
 */

#include "model/results/frame.h"
#include "model/results/result.h"
#include "model/wait_reason.h"

/* What a row stands for. */
enum off_cpu_by { OFF_CPU_BY_STACK, OFF_CPU_BY_REASON, OFF_CPU_BY_THREAD };

struct off_cpu_row {
    enum wait_reason reason;
    uint64_t count; /* of waits; 0: time of which no wait was told */
    uint64_t open;  /* how many of them still last */
    uint64_t total_ns, max_ns, p50_ns;
    double share_pct;      /* of the view's off-CPU time */
    const char *wait_site; /* NULL: nothing says what was waited for */
    size_t n_stack;
    struct frame_result *stack; /* the heaviest one, where there are several */
    uint64_t frames;            /* that it has without a bound */
    bool approximate;
    bool complete;
    int64_t tid; /* 0: several threads */
    const char *thread;
    const char *object; /* what most of them waited for; NULL: not known */
};

struct off_cpu_result {
    struct run_stamp run;
    struct view_echo view;
    enum off_cpu_by by;
    struct totals totals;
    uint64_t waits, open;
    uint64_t selected_ns; /* what all rows sum to */
    uint64_t all_rows;    /* how many there are without the limit */
    size_t n_rows;
    struct off_cpu_row *rows; /* by total_ns */
    const char *hint;
};
