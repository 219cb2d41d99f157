/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * timeline - what each thread did when
 *
 * Owner, Threads: see result.h.
 */

#include "model/results/result.h"

struct timeline_row {
    int64_t tid, pid;
    const char *name;
    uint64_t start_ns, end_ns;            /* run-relative; of a living thread the end of the view */
    uint64_t cpu_ns, runq_ns, off_cpu_ns; /* sums of the buckets */
    size_t n_cpu_by_bucket_ns;
    uint64_t *cpu_by_bucket_ns;
    size_t n_runq_by_bucket_ns;
    uint64_t *runq_by_bucket_ns;
    size_t n_off_cpu_by_bucket_ns;
    uint64_t *off_cpu_by_bucket_ns;
};

struct timeline_result {
    struct run_stamp run;
    struct view_echo view;
    struct totals totals;
    uint64_t buckets;   /* their number; as many as were asked for, or fewer */
    uint64_t bucket_ns; /* length of each but the last, which ends with the view */
    uint64_t known_ns;  /* what was before, since the run's first instant, is folded away */
    uint64_t threads;   /* how many rows there are without the limit */
    size_t n_rows;
    struct timeline_row *rows; /* by cpu_ns */
    const char *hint;
};
