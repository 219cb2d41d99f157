/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * target_state - what a process already is when a recording of it begins
 *
 * Owner:   strings are borrowed from buffers of the call. Threads: any.
 * Source:  proc(5).
 * Tests:   target_state_test.c
 */

#include <stdint.h>

#include "model/event_sink.h"

/* Tells every thread (EVENT_THREAD_PRESENT) and every executable mapping of a process, as of
 * time_ns. */
int target_state_emit(int64_t pid, uint64_t time_ns, const struct event_sink *sink);

/* Calls back for every thread id there is now; stops at the first non-zero answer and returns it.
 */
int target_state_each_thread(int64_t pid, int (*on_tid)(void *userdata, int64_t tid),
                             void *userdata);
