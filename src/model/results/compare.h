/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * compare - two runs, or groups of runs, side by side
 *
 * Owner, Threads: see result.h.
 */

#include "model/lane.h"
#include "model/results/off_cpu_by_reason.h"
#include "model/results/result.h"

/*
 * One side. Figures of several runs are their means, so that groups of
 * different size can be compared.
 */
struct compare_side {
    size_t n_runs;
    run_id *runs;
    const char *command;      /* of the first run; NULL: not known */
    uint64_t duration_ns;     /* from the first instant to the end, or to now */
    uint64_t samples;         /* of a run */
    double effective_samples; /* so many independent ones tell as much; 0: not known */
    uint64_t active_ns, cpu_ns, off_cpu_ns, runq_ns;
    struct off_cpu_by_reason off_cpu_by_reason_ns;
    uint64_t intervals, wakeups;
    uint64_t threads;
    uint64_t lost; /* events, of any cause */
    /* What the program reports of itself; 0 where it reports nothing. */
    uint64_t target_ns, spans;
    uint64_t linked_origins, unlinked_origins, missing_origins;
    uint64_t bad_duration_drops, worker_disconnect_drops;
    uint64_t target_ring_drops, server_queue_drops;
    uint64_t target_queue_drops; /* of both */
};

/* The share of a function in both, and how sure the difference is. */
struct compare_share {
    double base_pct, candidate_pct;
    double delta_pp;        /* candidate less base, percentage points */
    double low_pp, high_pp; /* its 95 % confidence interval */
    bool is_tested;         /* false: too few samples for an answer; all below is 0, 1, 1, false */
    double p_value;         /* of this difference alone */
    double adjusted_p;      /* with regard to how many were looked at */
    bool is_significant;    /* adjusted_p is below 0.05 */
};

struct compare_function {
    const char *name;
    const char *image;
    enum frame_kind kind;
    bool is_new;  /* no sample of the base runs through it */
    bool is_gone; /* no sample of the candidate does */
    struct compare_share self, total;
    uint64_t base_self_ns, candidate_self_ns; /* means of a run's CPU time */
    uint64_t base_total_ns, candidate_total_ns;
    uint64_t base_samples, candidate_samples; /* that run through it, of all runs of the side */
};

/* A lane on both sides: those of the same name and kind, of all processes. */
struct compare_lane {
    const char *name;
    enum lane_kind kind;
    bool is_new;                  /* the base has no such lane */
    bool is_gone;                 /* the candidate has none */
    uint64_t base_ns, base_spans; /* means of a run */
    uint64_t candidate_ns, candidate_spans;
    int64_t delta_ns; /* candidate less base */
};

/* Where the variance of a share comes from. */
enum compare_method {
    COMPARE_METHOD_NONE,         /* too few samples: nothing is tested */
    COMPARE_METHOD_BLOCKS,       /* blocks of time within the runs */
    COMPARE_METHOD_BETWEEN_RUNS, /* runs of one side from another: three or more on each */
};

/* A limit that the candidate does not keep. */
struct compare_failure {
    const char *gate;     /* the option that set the limit, without dashes */
    const char *function; /* of a function's gate; NULL */
    const char *message;  /* a line that names the figure */
};

struct compare_result {
    struct compare_side base, candidate;
    enum compare_method method;
    uint64_t tested; /* differences that were tested, for which adjusted_p corrects */
    uint64_t significant;
    uint64_t functions; /* how many rows there are without the limit */
    size_t n_rows;
    struct compare_function
        *rows;      /* significant ones first, by the difference; the rest by share */
    uint64_t lanes; /* as functions, of lanes */
    size_t n_lane_rows;
    struct compare_lane *lane_rows; /* by the larger of both times */
    size_t n_threshold_failures;
    struct compare_failure *threshold_failures;
    const char *hint;
};
