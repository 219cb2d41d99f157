/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wait_log - what a thread's waits cost it, by the kernel's own accounts
 *
 * A bracket is one wait: wall time by CLOCK_MONOTONIC, CPU time by the thread's
 * clock, time on the run queue by /proc/thread-self/schedstat. What of the wall
 * time is neither of the two was blocked. Reading the three costs about 3 us,
 * which the bracket holds as CPU time.
 *
 * Owner:   the thread that waits; others read after it was joined.
 * Threads: one.
 * Limits:  what does not fit is summed up and not listed (n_unlisted).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wait_record {
    uint64_t start_ns, duration_ns, blocked_ns, runq_ns;
    uint64_t n_preempted; /* it was, between the brackets */
};

struct wait_account {
    uint64_t wall_ns, cpu_ns, runq_ns, n_switches /* voluntary ones */, n_preempted;
};

struct wait_log {
    uint64_t least_listed_ns;
    struct wait_record *records;
    size_t n_records, n_allocated, n_unlisted;
    uint64_t n_waits, duration_ns, blocked_ns;
    struct wait_account at_start, used; /* of the thread's whole life in between */
    struct wait_account before;         /* of the open bracket */
    int schedstat_fd;
};

/* Room for `n_records`; by main(), so that no wait is spent on it. Ends the program on failure. */
void wait_log_init(struct wait_log *log, size_t n_records, uint64_t least_listed_ns);

/* The first and the last thing that the thread does. */
void wait_log_start(struct wait_log *log);
void wait_log_stop(struct wait_log *log);

/* Around one wait. */
void wait_log_begin(struct wait_log *log);
void wait_log_end(struct wait_log *log);
