/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * range_log - when a program told of a range, by its own clock
 *
 * Each call is between two looks at CLOCK_MONOTONIC. All goes to one line of
 * JSON.
 *
 * Threads: one at a time adds entries; each entry is its thread's.
 * Limits:  RANGE_LOG_MAX entries, then the program ends.
 */

#include <stdint.h>
#include <stdio.h>

#define RANGE_LOG_MAX 8192

struct range_entry {
    const char *lane; /* of the thread's own lane: only its domain, with ": " behind it */
    const char *outer, *middle, *name;
    const char *thread; /* its name; NULL: it has none */
    uint32_t tid;
    uint64_t begin_ns[2], end_ns[2]; /* before and after the call */
    double payload;
};

uint64_t range_log_now_ns(void);

/* Another entry of the calling thread. */
struct range_entry *range_log_add(const char *lane, const char *outer, const char *name);

/* Works for about this long. */
void range_log_work(unsigned us);

/* Around a call that begins or ends a range. */
#define RANGE_LOG_CALL(times, call)                                                                \
    do {                                                                                           \
        (times)[0] = range_log_now_ns();                                                           \
        call;                                                                                      \
        (times)[1] = range_log_now_ns();                                                           \
    } while (0)

void range_log_print(FILE *truth);
