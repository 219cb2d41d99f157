/* SPDX-License-Identifier: MIT */
#include "burn.h"

uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Costs what any burner costs, under a name that is no part of anybody's truth. */
__attribute__((noinline)) static void calibration_loop(uint64_t n_iterations)
{
    uint64_t x = 7;
    for (uint64_t i = 0; i < n_iterations; i++) {
        BURN_STEP(x, UINT64_C(3935559000370003845));
    }
}

/*
 * The best of several short rounds: a round that was interrupted, or that ran
 * before the CPU reached its speed, only ever looks slower.
 */
uint64_t burn_calibrate(void)
{
    const uint64_t n_iterations = 400000;
    uint64_t best_ns = UINT64_MAX;

    for (int round = 0; round < 20; round++) {
        const uint64_t start_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        calibration_loop(n_iterations);
        const uint64_t used_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns;
        if (used_ns > 0 && used_ns < best_ns) {
            best_ns = used_ns;
        }
    }
    return n_iterations * NS_PER_MS / best_ns;
}

uint64_t burn_iterations(uint64_t iterations_per_ms, uint64_t cpu_ns)
{
    const uint64_t n_iterations = iterations_per_ms * cpu_ns / NS_PER_MS;

    return n_iterations > 0 ? n_iterations : 1;
}

uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *state = x;
    return x;
}
