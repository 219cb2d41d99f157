/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * attribution - exact time over sampled places
 *
 * The scheduler says to the nanosecond how long each thread ran; samples say
 * where. Samples of a thread share that thread's CPU time in the view, in
 * proportion to their weights (sample_weight.h). A ratio of few samples is
 * biased, so threads with fewer than ATTRIBUTION_OWN_SAMPLES share their time
 * and their samples. So do threads that ran only for a moment but were sampled
 * very often, on behalf of many alike (capture/linux/birth_period.h).
 *
 * Shape:   arrays by stack_id and by thread_id of the snapshot. The weights of
 *          all stacks and unsampled_ns sum exactly to totals.cpu_ns, those of
 *          all waits to totals.off_cpu_ns, those of outermost spans to
 *          totals.target_ns. Tids of lanes choose spans; those of threads choose
 *          none, whatever these have queued.
 * Owner:   arrays lie in the arena of the query.
 * Threads: any.
 * Source:  docs/design/0003-stacks-and-time.md
 * Tests:   attribution_test.c
 */

#include "query/query.h"
#include "query/span_figures.h"
#include "query/wait_shares.h"

/* Of a run without scheduler events. */
#define ATTRIBUTION_NO_SWITCHES                                                                    \
    "this run has no scheduler events (recorded with --no-off-cpu, or opened from a file without " \
    "them): nobody told when threads ran and waited"
#define ATTRIBUTION_NO_SWITCHES_HINT                                                               \
    "record without --no-off-cpu; what `stax open` shall read, by perf record --switch-events"

#define ATTRIBUTION_OWN_SAMPLES 64u

struct thread_share {
    bool is_in_view;
    bool has_own_share; /* of its own time; else it shares with others that have few samples */
    uint64_t cpu_ns, blocked_ns, runnable_ns; /* inside the range */
    uint64_t n_samples;                       /* inside the range, before exclude and focus */
    uint64_t n_voluntary, n_involuntary;
    uint64_t kept_ns, kept_samples; /* of stacks that exclude and focus leave */
};

/* Of waits whose stack is exactly one. */
struct stack_waits {
    uint64_t blocked_ns, n_waits;
};

struct attribution {
    uint64_t from_ns, to_ns; /* absolute */
    struct thread_share *threads;
    bool is_filtered;             /* exclude or focus */
    const uint8_t *stack_is_kept; /* by them; NULL: all are */
    uint64_t *stack_ns;           /* of samples whose stack is exactly this */
    uint64_t *stack_samples;      /* both NULL: nobody asked, attribution_compute_threads() */
    uint64_t unsampled_ns;        /* CPU time of threads that no sample met */
    struct span_view *span_view;  /* of the lanes in the view; NULL: the run has none */
    struct span_figures spans;    /* of these */
    struct totals totals;
    struct view_echo echo;
    bool has_waits;                  /* they have been asked for; attribution_waits() */
    struct wait_shares waits;        /* of stacks that exclude and focus leave */
    struct stack_waits *stack_waits; /* by stack; NULL: attribution_spread_waits() was not asked */
};

/* 0, -ENOMEM, -EINVAL (a range or pattern that makes no sense). */
int attribution_compute(const struct query_context *context, struct attribution *ret_attribution,
                        struct error *reterr_error);

/* The same for who does not ask which stacks ran: there may be no stack_ns and stack_samples. */
int attribution_compute_threads(const struct query_context *context,
                                struct attribution *ret_attribution, struct error *reterr_error);

/* Samples of one thread in one stack, and what they stand for. */
struct attribution_part {
    thread_id thread;
    stack_id stack;
    uint64_t ns, n_samples;
};

/* 0, or what attribution_compute_parts() returns then. */
typedef int (*attribution_part_cb)(void *userdata, const struct attribution_part *part);

/*
 * As attribution_compute(), and tells whose time is in which stack: parts sum to stack_ns and, but
 * for threads that share with others, to the cpu_ns of their thread. A thread and stack can come
 * more than once.
 */
int attribution_compute_parts(const struct query_context *context, attribution_part_cb on_part,
                              void *userdata, struct attribution *ret_attribution,
                              struct error *reterr_error);

/* Where the threads were blocked; the rows of a thread sum to its blocked_ns. 0 or -ENOMEM. */
int attribution_waits(const struct query_context *context, struct attribution *attribution,
                      const struct wait_shares **ret_waits);

/* The same by stack, without frames of the scheduler at the inner end: makes call trees of this
 * attribution count waits, too. 0 or -ENOMEM. */
int attribution_spread_waits(const struct query_context *context, struct attribution *attribution);

/* run_stamp of the answer. */
struct run_stamp attribution_stamp(const struct query_context *context);

/* What to type where the view holds nothing; NULL where it does. */
const char *attribution_hint(const struct query_context *context,
                             const struct attribution *attribution);

/* The same of a view that shows waits. */
const char *attribution_wait_hint(const struct query_context *context,
                                  const struct attribution *attribution);
