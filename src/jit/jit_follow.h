/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * jit_follow - the processes that make code, and the files in which they tell of it
 *
 * A process is followed to its end, and what was open for it is closed then.
 * After the end of the run it is followed as long as something about the run
 * may still come: a dump to its first record from after the run, everything
 * else until nothing has come for a while.
 *
 * Owner:   jit_follow_new()/_free().
 * Threads: one (jit_tail's).
 * Limits:  JIT_FOLLOW_MAX_PROCESSES at a time, JIT_FOLLOW_MAX_DUMPS in all; what
 *          one jit_follow_read() reads: jit_budget.h.
 * Tests:   jit_follow_test.c
 */

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "images/image_table.h"
#include "jit/jit_code.h"

#define JIT_FOLLOW_MAX_PROCESSES 256u
#define JIT_FOLLOW_MAX_DUMPS 64u

/* After the run: so long without news, and so long at most. */
#define JIT_FOLLOW_QUIET_NS (60 * NS_PER_S)
#define JIT_FOLLOW_LONGEST_NS (600 * NS_PER_S)

struct jit_follow;

/* `code` outlives it. is_stopping (may be NULL) ends reading wherever it is. */
int jit_follow_new(struct jit_code *code, const atomic_bool *is_stopping,
                   struct jit_follow **ret_follow);
struct jit_follow *jit_follow_free(struct jit_follow *follow);
DEFINE_FREEP(jit_follow);

/* At time_ns the process mapped memory in which it can make code, or a dump. What is followed
 * already, or was to its end, stays as it is. */
void jit_follow_process(struct jit_follow *follow, int64_t pid, uint64_t time_ns);
void jit_follow_dump(struct jit_follow *follow, const struct image *image, uint64_t time_ns);

void jit_follow_exec(struct jit_follow *follow, int64_t pid, uint64_t time_ns);
void jit_follow_fork(struct jit_follow *follow, int64_t pid, int64_t parent_pid, uint64_t time_ns);

/* Reads what has come. How many functions and moves, and whether that was all there is. */
uint64_t jit_follow_read(struct jit_follow *follow, bool *ret_is_all);

/* The run ended at end_ns. */
void jit_follow_end(struct jit_follow *follow, uint64_t end_ns);
/* Nothing more is to be expected at now_ns. */
bool jit_follow_is_done(const struct jit_follow *follow, uint64_t now_ns);

/* What becomes readable when a process ends: at most JIT_FOLLOW_MAX_PROCESSES. */
size_t jit_follow_waits(const struct jit_follow *follow, struct pollfd *ret_waits);

/* One line for people on what could not be used, "" where all is well. */
const char *jit_follow_trouble(const struct jit_follow *follow);
