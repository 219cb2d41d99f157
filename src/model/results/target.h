/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * target - what programs reported themselves: lanes, spans, who queued them
 *
 * Shape:   a lane's tid is LANE_TID_FIRST and its number. `path` has the names
 *          that a span is inside of, outermost first, without its own. Where
 *          total_ns sums up several names, that of spans inside of others does
 *          not count.
 * Owner, Threads: see result.h. Rows may share paths and stacks.
 */

#include "model/lane.h"
#include "model/results/frame.h"

/* What became of the origins of some spans. */
struct origin_counts {
    uint64_t linked, missing, no_thread, no_sample, no_user_stack, too_far, synthetic_tid;
    uint64_t wrong_pid, outside_run, pending;
};

static inline uint64_t *origin_counts_at(struct origin_counts *counts, enum origin_state state)
{
    switch (state) {
    case ORIGIN_LINKED:
        return &counts->linked;
    case ORIGIN_MISSING:
        return &counts->missing;
    case ORIGIN_NO_THREAD:
        return &counts->no_thread;
    case ORIGIN_NO_SAMPLE:
        return &counts->no_sample;
    case ORIGIN_NO_USER_STACK:
        return &counts->no_user_stack;
    case ORIGIN_TOO_FAR:
        return &counts->too_far;
    case ORIGIN_SYNTHETIC_TID:
        return &counts->synthetic_tid;
    case ORIGIN_WRONG_PID:
        return &counts->wrong_pid;
    case ORIGIN_OUTSIDE_RUN:
        return &counts->outside_run;
    case ORIGIN_PENDING:
    case ORIGIN_STATE_N:
        break;
    }
    return &counts->pending;
}

/* From origins to where their stacks were taken. */
struct origin_distance {
    uint64_t count, min_ns, avg_ns, max_ns;
};

/* ---- lanes ---- */

struct target_lane_row {
    int64_t tid, pid;
    const char *name;
    enum lane_kind kind;
    uint64_t spans, names;
    uint64_t total_ns;
    double load;      /* total_ns for each ns of the view: 2 where two spans run at a time */
    int64_t first_ns; /* run-relative: earliest start, < 0 before the recording … */
    uint64_t last_ns; /* … and latest end */
    uint64_t waits, waited_ns;
    struct origin_counts origins;
};

struct target_lanes_result {
    struct run_stamp run;
    struct view_echo view;
    uint64_t lanes; /* rows without the limit */
    uint64_t spans, target_ns;
    bool partial; /* single spans of this view are gone */
    size_t n_rows;
    struct target_lane_row *rows; /* by total_ns */
    const char *hint;
};

/* ---- names ---- */

enum target_top_sort {
    TARGET_TOP_SORT_TIME,
    TARGET_TOP_SORT_COUNT,
    TARGET_TOP_SORT_AVG,
    TARGET_TOP_SORT_MAX,
    TARGET_TOP_SORT_P95,
    TARGET_TOP_SORT_P99
};

struct target_top_row {
    const char *name;
    size_t n_path;
    char **path;
    const char *lane;
    int64_t tid, pid;
    enum lane_kind kind;
    uint64_t spans;
    uint64_t total_ns;               /* inside the range, or the run */
    uint64_t avg_ns, min_ns, max_ns; /* of whole spans, … */
    uint64_t p50_ns, p95_ns, p99_ns; /* … these too */
    uint64_t waits, waited_ns;
    double total_pct; /* of target_ns */
};

struct target_top_result {
    struct run_stamp run;
    struct view_echo view;
    enum target_top_sort sort;
    uint64_t names; /* rows without the limit */
    uint64_t spans, target_ns;
    bool partial;
    size_t n_rows;
    struct target_top_row *rows;
    const char *hint;
};

/* ---- single spans ---- */

enum target_spans_order { TARGET_SPANS_ORDER_LONGEST, TARGET_SPANS_ORDER_LATEST };

/* `n_inner` frames at the inner end of a stack are of the kernel, the C library and the library
 * that reports spans: whoever called them queued the work, or waited. */
struct span_origin {
    enum origin_state state;
    int64_t tid;          /* 0: not told */
    const char *name;     /* of the thread; NULL: not known */
    bool has_time;        /* it was told … */
    int64_t time_ns;      /* … run-relative, < 0: before the recording */
    bool has_distance;    /* a stack was found … */
    uint64_t distance_ns; /* … so long before or after */
    size_t n_stack;
    struct frame_result *stack; /* innermost first */
    uint32_t n_inner;
};

/* Somebody waited for it, or took notice of its end. */
struct span_wait {
    int64_t tid;
    const char *name;         /* NULL: not known */
    int64_t start_ns, end_ns; /* run-relative, < 0: before the recording */
    uint64_t waited_ns;       /* of that while the span ran */
};

struct span_completion {
    int64_t tid;
    const char *name;
    int64_t time_ns; /* run-relative */
};

struct span_source {
    const char *file, *function; /* NULL: not told */
    uint32_t line;
};

struct span_counter {
    const char *name, *unit; /* unit NULL: none */
    double value;
};

struct span_attachment {
    const char *label;
    uint64_t size_bytes;
    size_t n_dimensions;
    uint32_t *dimensions;
};

struct target_span_row {
    const char *name;
    size_t n_path;
    char **path;
    const char *lane;
    int64_t tid, pid;
    enum lane_kind kind;
    int64_t start_ns; /* run-relative, < 0: before the recording */
    uint64_t duration_ns;
    struct span_origin origin;
    uint64_t queue_id, command_buffer_id, dispatch_id; /* 0: none */
    bool has_wait, has_completion, has_source;
    struct span_wait wait;
    struct span_completion completion;
    struct span_source source;
    size_t n_counters;
    struct span_counter *counters;
    size_t n_attachments;
    struct span_attachment *attachments;
};

struct target_spans_result {
    struct run_stamp run;
    struct view_echo view;
    enum target_spans_order order;
    uint64_t spans; /* in the view, with those that are gone where that is known */
    bool partial;
    size_t n_rows;
    struct target_span_row *rows;
    const char *hint;
};

/* ---- who queued them, who waited ---- */

enum target_origins_by { TARGET_ORIGINS_BY_STACK, TARGET_ORIGINS_BY_NAME };

struct target_origin_row {
    enum origin_state state;
    int64_t tid;             /* who queued them; 0: several, or nobody knows */
    const char *thread;      /* NULL: as above */
    const char *lane, *name; /* of those that took most time */
    int64_t lane_tid;
    uint64_t names; /* how many different ones, each lane's apart */
    uint64_t count, total_ns;
    double total_pct; /* of target_ns */
    size_t n_stack;
    struct frame_result *stack; /* LINKED only, innermost first */
    uint32_t n_inner;
};

struct target_wait_row {
    int64_t tid;
    const char *thread;
    const char *lane, *name;
    int64_t lane_tid;
    uint64_t names;
    uint64_t count, waited_ns;
    size_t n_stack;
    struct frame_result *stack; /* where the wait began; empty: not known */
    uint32_t n_inner;
};

struct target_origins_result {
    struct run_stamp run;
    struct view_echo view;
    enum target_origins_by by;
    uint64_t spans, target_ns;
    struct origin_counts origins;
    struct origin_distance linked, too_far;
    uint64_t bound_ns;               /* further off than that nothing is linked */
    uint64_t origin_rows, wait_rows; /* without the limit */
    bool partial;
    size_t n_rows;
    struct target_origin_row *rows; /* by total_ns */
    uint64_t waits, waited_ns;
    size_t n_waiters;
    struct target_wait_row *waiters; /* by waited_ns */
    const char *hint;
};
