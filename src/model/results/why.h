/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * why - the critical path of a range: what its end had to wait for
 *
 * Shape:   segments touch, never overlap, and cover the range; each is of the
 *          thread on which all that came later depended.
 * Owner, Threads: see result.h. Segments may share their stacks.
 */

#include "model/results/frame.h"
#include "model/wait_reason.h"

enum why_kind {
    WHY_KIND_RUN,
    WHY_KIND_RUNQ,
    WHY_KIND_WAIT,
    WHY_KIND_UNKNOWN, /* nobody knows any more, or ever did */
};

/* The wakeup by which the path came from another thread. */
struct why_edge {
    int64_t waker_tid;
    const char *waker_name;
    size_t n_waker_stack;
    struct frame_result *waker_stack;
    bool is_birth;      /* no wakeup: the other thread made this one */
    uint64_t waited_ns; /* as long this one was blocked */
    enum wait_reason reason;
    const char *wait_site; /* NULL: none */
    size_t n_wait_stack;
    struct frame_result *wait_stack;
};

struct why_segment {
    int64_t tid;
    const char *name;
    enum why_kind kind;
    uint64_t start_ns, duration_ns; /* start: run-relative */
    enum wait_reason reason;        /* WAIT */
    const char *wait_site;          /* WAIT; NULL: none */
    size_t n_stack;
    struct frame_result *stack; /* RUN: where it was sampled most; WAIT: where it waited */
    uint64_t samples;           /* RUN */
    bool has_waker;             /* WAIT, and RUNQ after one: somebody told who ended it */
    int64_t waker_tid;          /* 0: no thread */
    const char *waker_name;     /* as waker_result.name */
    bool has_edge;              /* it began with a wakeup by the thread of the segment before */
    struct why_edge edge;
};

struct why_sum {
    int64_t tid;
    const char *name;
    enum why_kind kind;
    enum wait_reason reason; /* WAIT */
    const char *what;        /* RUN: the hottest function; WAIT: the wait site; NULL: not known */
    const char *image;       /* of what; NULL: none */
    uint64_t total_ns, max_ns, count;
    double total_pct;
};

/* All wakeups of the path that are alike. */
struct why_handover {
    int64_t wakee_tid, waker_tid;
    const char *wakee_name;
    const char *waker_name;
    bool is_birth;
    enum wait_reason reason;
    const char *wait_site;
    uint64_t count, waited_ns;
};

struct why_thread {
    int64_t tid;
    const char *name;
};

struct why_result {
    struct run_stamp run;
    struct view_echo view;
    uint64_t total_ns;         /* length of the range: what the segments sum to */
    uint64_t start_ns, end_ns; /* run-relative */
    struct why_thread thread;  /* whose end it is */
    const char *choice;        /* why that one */
    uint64_t all_segments;
    uint64_t unkept_segments; /* the earliest ones, which are in the summary only */
    size_t n_segments;
    struct why_segment *segments; /* the last ones, in the order of time */
    size_t n_summary;
    struct why_sum *summary; /* by total_ns */
    size_t n_handovers;
    struct why_handover *handovers; /* by waited_ns */
    const char *hint;
};
