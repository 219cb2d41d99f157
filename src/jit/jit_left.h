/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * jit_left - the maps that processes have left in /tmp, for a run that is read from a file
 *
 * Who recorded it has not followed what a program told of its code, and a
 * perf-PID.map tells no more than the pid. It is believed as far as that goes:
 * on the host of the recording (the caller's to know), where it is what
 * jit_process.h believes, where no younger process has the pid, and where it was
 * last written before the recording ended or a moment later, as a program that
 * ends writes it.
 *
 * Owner:   jit_left_new()/_free(), one per run.
 * Threads: one (the aggregator).
 * Limits:  JIT_LEFT_MAX_PROCESSES; those of jit_map.
 * Tests:   jit_left_test.c, tests/e2e/test_import.py
 */

#include <stdint.h>

#include "base/cleanup.h"
#include "jit/jit_code.h"
#include "model/event.h"

#define JIT_LEFT_MAX_PROCESSES 256u

struct jit_left;

/* `code` outlives it; ended_at_unix_ns: when the recording did. 0 or -ENOMEM. */
int jit_left_new(struct jit_code *code, uint64_t ended_at_unix_ns, struct jit_left **ret_left);
struct jit_left *jit_left_free(struct jit_left *left);
DEFINE_FREEP(jit_left);

/* For each EVENT_IMAGE: reads the map of a process at the first memory without a file that it runs
 * code in. */
void jit_left_on_image(struct jit_left *left, const struct event *event);
