/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * jit_tail - reads what the programs of a run tell of their code, while they run
 *
 * A thread of its own, started when the first process maps code that has no
 * file or maps a jitdump (as its writers do, so that profilers find it). It
 * looks for the process' files, follows their growth, and reads them a last
 * time when the process has ended - for a while (jit_follow.h) also when the run
 * was stopped before that, since what is buffered is written later.
 *
 * Owner:   jit_tail_new()/_free(), one per run.
 * Threads: jit_tail_on_image(), jit_tail_end(): one (the aggregator). wait:
 *          any. new, free: one, before and after all others.
 * Limits:  those of jit_follow, JIT_TAIL_MAX_NOTICES under way.
 * Tests:   jit_tail_test.c, tests/e2e/test_jit.py
 */

#include <stdbool.h>

#include "base/cleanup.h"
#include "jit/jit_code.h"
#include "model/event.h"

#define JIT_TAIL_MAX_NOTICES 4096u

struct jit_tail;

/* No thread yet. `code` outlives the tail. */
int jit_tail_new(struct jit_code *code, struct jit_tail **ret_tail);
struct jit_tail *jit_tail_free(struct jit_tail *tail);
DEFINE_FREEP(jit_tail);

/* For each EVENT_IMAGE of the run; cheap for what concerns no made code, and never blocks. */
void jit_tail_on_image(struct jit_tail *tail, const struct event *event);

/* The run is over; what is told late of it is read still. */
void jit_tail_end(struct jit_tail *tail);

/* Waits, not longer than timeout_ms, until what the files hold now has been read. */
bool jit_tail_wait(struct jit_tail *tail, int timeout_ms);

/* Is `path`, as it was mapped, that of a jitdump? */
bool jit_tail_is_dump(const char *path);
/* Is it memory without a file, as code is made in? */
bool jit_tail_is_made(const char *path);

/* One line for people on what could not be used, "" where all is well. */
void jit_tail_describe(struct jit_tail *tail, char *ret_text, size_t n_bytes);
