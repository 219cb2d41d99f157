/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * burn - CPU time in known amounts, for target programs that know their truth
 *
 * A burner is a function that loops over BURN_STEP() and does nothing else: no
 * system call happens inside it, so every instant in it belongs to its name.
 * How many iterations make a nanosecond is measured by the thread's own CPU
 * clock at start; what was really used is measured again around every call.
 *
 * Owner:   the caller's memory.
 * Threads: burn_calibrate() before threads start; the rest any.
 * Tests:   tests/e2e/test_programs.py
 */

#include <stdint.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)

/* Nanoseconds of `clock` (CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID, …). */
uint64_t clock_ns(clockid_t clock);

/* Burns about 10 ms of CPU to learn how many BURN_STEPs make a millisecond of it. */
uint64_t burn_calibrate(void);

/* How many iterations make `cpu_ns`, at least 1. */
uint64_t burn_iterations(uint64_t iterations_per_ms, uint64_t cpu_ns);

/* One step of the arithmetic that burners do; opaque to the optimizer. */
#define BURN_STEP(x, constant)                                                                     \
    __asm__ volatile("" : "+r"(x));                                                                \
    (x) = (x) * (constant) + 1

/* A small generator (xorshift); `state` must not be 0. */
uint64_t random_next(uint64_t *state);
