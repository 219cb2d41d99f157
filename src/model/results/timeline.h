/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * timeline - what each thread and each lane did when
 *
 * Owner, Threads: see result.h.
 */

#include "model/results/result.h"
#include "model/results/threads.h"

struct timeline_row {
    int64_t tid, pid;
    const char *name;
    enum thread_kind kind;
    uint64_t start_ns, end_ns;            /* run-relative; of a living thread the end of the view */
    uint64_t cpu_ns, runq_ns, off_cpu_ns; /* sums of the buckets */
    size_t n_cpu_by_bucket_ns;
    uint64_t *cpu_by_bucket_ns;
    size_t n_runq_by_bucket_ns;
    uint64_t *runq_by_bucket_ns;
    size_t n_off_cpu_by_bucket_ns;
    uint64_t *off_cpu_by_bucket_ns;
    /* Of lanes only. Spans that overlap count each: a bucket can hold more than its length. */
    uint64_t target_ns, spans;
    size_t n_target_by_bucket_ns;
    uint64_t *target_by_bucket_ns;
    size_t n_spans_by_bucket;
    uint64_t *spans_by_bucket; /* by where they begin */
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
    struct timeline_row *rows; /* threads by cpu_ns, then lanes */
    const char *hint;
};
