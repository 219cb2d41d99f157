/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * export_timeline - samples and waits of one thread after the other
 *
 * They are stored in the order of time, those of all threads mixed; formats
 * that hold a timeline want each thread's own.
 *
 * Owner:   _release() frees the moments.
 * Threads: one.
 * Limits:  memory grows with samples and waits: sizeof(struct timed_moment)
 *          for each.
 * Tests:   export_timeline_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "interchange/export_shares.h"

struct timed_moment {
    uint64_t time_ns, end_ns; /* relative to the first instant of the run */
    uint64_t weight_ns;
    uint32_t row, n;
    const char *wait_site;
    uint8_t reason;
    bool is_rest; /* nobody knows when */
};

struct export_timeline {
    size_t n_moments;
    struct timed_moment *moments; /* by thread, then time */
    size_t *first;                /* by index into shares.threads; one more at the end */
};

/* 0 or -ENOMEM. */
int export_timeline_build(struct export_shares *shares, bool has_waits,
                          struct export_timeline *ret_timeline);
void export_timeline_release(struct export_timeline *timeline);
DEFINE_RELEASEP(export_timeline);
