/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * waker - who ended a wait
 *
 * Owner, Threads: see result.h.
 */

#include "model/results/frame.h"

struct waker_result {
    int64_t tid;      /* 0: no thread */
    const char *name; /* of no thread "(timer or interrupt)"; "" where it is not known */
    bool is_outsider; /* a thread, but none of the target's */
    bool has_stack;   /* it was asked for */
    size_t n_stack;
    struct frame_result *stack; /* of the wakeup, innermost first; empty: not known */
};
