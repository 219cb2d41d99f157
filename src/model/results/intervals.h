/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * intervals - single waits
 *
 * Owner, Threads: see result.h. Rows may share their stacks.
 */

#include "model/results/waker.h"
#include "model/wait_reason.h"

enum intervals_order { INTERVALS_ORDER_LONGEST, INTERVALS_ORDER_LATEST };

struct interval_row {
    int64_t tid;
    const char *name;
    uint64_t start_ns;    /* run-relative */
    uint64_t duration_ns; /* blocked: up to the wakeup */
    uint64_t runq_ns;     /* from there to running */
    enum wait_reason reason;
    const char *wait_site; /* the function that says what was waited for; NULL: none does */
    bool has_stack;        /* it was asked for */
    size_t n_stack;
    struct frame_result *stack; /* innermost first; empty: not known */
    bool open;                  /* it lasts */
    bool approximate;           /* the stack is of a look in between, or of an earlier wait */
    bool complete;              /* the stack reaches the thread's start */
    const char *object;         /* what was waited for: "fd 5", "futex 0x…"; NULL: not told */
    bool has_waker;             /* somebody told who woke it */
    struct waker_result waker;
};

struct intervals_result {
    struct run_stamp run;
    struct view_echo view;
    enum intervals_order order;
    uint64_t intervals;           /* how many rows there are without the limit */
    uint64_t blocked_ns, runq_ns; /* of all of them */
    size_t n_rows;
    struct interval_row *rows;
    const char *hint;
};
