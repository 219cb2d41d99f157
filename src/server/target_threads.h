/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * target_threads - the threads of a program that sits in a pid namespace of its own
 *
 * What such a program calls its threads is not what the kernel tells the server of
 * them. /proc says both; it is read again when a number comes that is not known,
 * as a thread may be new, and those that have ended are remembered.
 *
 * Owner:   target_threads_new()/_free().
 * Threads: one.
 * Limits:  4096 threads; looks at most every 100 ms, and a tenth of the time.
 * Source:  proc_pid_status(5), NSpid.
 * Tests:   target_threads_test.c
 */

#include <stdint.h>

struct target_threads;

/* `pid` as the server sees it. NULL when memory ran out. */
struct target_threads *target_threads_new(int64_t pid);
struct target_threads *target_threads_free(struct target_threads *threads);

/* The number that the server sees; `tid` itself where none is known. */
uint32_t target_threads_find(struct target_threads *threads, uint32_t tid);
