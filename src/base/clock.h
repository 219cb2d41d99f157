/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * clock - the two clocks that stax knows
 *
 * Every time in an event is CLOCK_MONOTONIC, so that samples, jitdump records,
 * target spans and the CLI speak of the same instant; wall time is only shown.
 *
 * Owner:   none.
 * Threads: any.
 */

#include <stdint.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)

static inline uint64_t clock_read_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_now_ns(void)
{
    return clock_read_ns(CLOCK_MONOTONIC);
}

static inline uint64_t clock_now_unix_ns(void)
{
    return clock_read_ns(CLOCK_REALTIME);
}
