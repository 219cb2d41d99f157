/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wakers - who woke whom
 *
 * Owner, Threads: see result.h.
 */

#include "model/results/frame.h"

/* One pair; or, kept apart by stack, one pair and the place where the waker was. */
struct waker_row {
    int64_t waker_tid;      /* 0: no thread */
    const char *waker_name; /* as waker_result.name */
    bool is_outsider;       /* the waker is a thread, but none of the target's */
    int64_t wakee_tid;
    const char *wakee_name;
    uint64_t count;         /* wakeups */
    uint64_t wait_ended_ns; /* blocked time of the waits that they ended */
    uint64_t runq_ns;       /* from wakeup to running */
    uint64_t stacks;        /* of the waker, how many different ones */
    size_t n_waker_stack;
    struct frame_result *waker_stack; /* of them the most frequent one, innermost first */
};

/* Who mostly ended the waits of a thread, who mostly those of that one, and so on. */
struct waker_link {
    int64_t wakee_tid;
    const char *wakee_name;
    int64_t waker_tid;
    const char *waker_name;
    bool is_outsider;
    uint64_t count, wait_ended_ns, runq_ns;
    double share_pct; /* of all waiting of the wakee that somebody ended */
    size_t n_waker_stack;
    struct frame_result *waker_stack;
};

struct wakers_result {
    struct run_stamp run;
    struct view_echo view;
    uint64_t wakers;                        /* how many rows there are without the limit */
    uint64_t count, wait_ended_ns, runq_ns; /* of all of them */
    size_t n_rows;
    struct waker_row *rows; /* by wait_ended_ns */
    size_t n_chain;
    struct waker_link *chain;
    const char *chain_end; /* why it goes no further; NULL where none was asked for */
    const char *hint;
};
