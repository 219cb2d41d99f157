/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * threads - what each thread did with its time
 *
 * Owner, Threads: see result.h.
 */

#include "model/results/off_cpu_by_reason.h"
#include "model/results/result.h"

enum thread_kind { THREAD_KIND_THREAD, THREAD_KIND_TARGET };

struct thread_row {
    int64_t tid, pid;
    const char *name;
    enum thread_kind kind;
    uint64_t start_ns, end_ns; /* run-relative; of a living thread the end of the view */
    bool is_alive;
    uint64_t cpu_ns;     /* exact */
    uint64_t runq_ns;    /* preempted, waiting for a CPU */
    uint64_t off_cpu_ns; /* blocked */
    const char *blocked; /* name of the wait_reason that most of it went to; NULL: none */
    struct off_cpu_by_reason off_cpu_by_reason_ns; /* sums to off_cpu_ns */
    uint64_t target_ns;
    uint64_t samples, spans;
    uint64_t voluntary_switches, involuntary_switches;
};

struct threads_result {
    struct run_stamp run;
    struct view_echo view;
    struct totals totals;
    uint64_t threads; /* how many rows there are without the limit; lanes are told beyond it */
    size_t n_rows;
    struct thread_row *rows; /* by cpu_ns, then lanes by target_ns */
    const char *hint;
};
