/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * outer_frames - the last whole stack of each thread
 *
 * Most of a deep stack does not change from one sample to the next. Equal inner
 * frames are no proof of that: two functions whose frames are of one size call
 * a third with the same stack pointer. What is remembered here is the state at
 * an earlier time, to be held against what is there later; where both agree,
 * it was so in between.
 *
 * Owner:   outer_frames_new()/_free(). Threads: one.
 * Limits:  OUTER_FRAMES_MAX_THREADS threads; a new one then takes the place of
 *          an old one. OUTER_FRAMES_MAX_BYTES in all.
 * Source:  docs/design/0006-unwinding.md
 * Tests:   outer_frames_test.c
 */

#include "base/cleanup.h"
#include "unwind/unwind.h"

#define OUTER_FRAMES_NEIGHBOURS 4u
#define OUTER_FRAMES_START 3u
#define OUTER_FRAMES_MAX_THREADS 4096u
#define OUTER_FRAMES_MAX_BYTES (UINT64_C(64) << 20)

struct outer_frames;

int outer_frames_new(struct outer_frames **ret_frames);
struct outer_frames *outer_frames_free(struct outer_frames *frames);
DEFINE_FREEP(outer_frames);

/*
 * Keeps the stack of a thread (places innermost first), as it was at time_ns,
 * until its next one. 0 or -ENOMEM.
 */
int outer_frames_remember(struct outer_frames *frames, int64_t tid, uint64_t time_ns,
                          const struct unwind_place *places, size_t n_places);

/* The same for a sample of sample_ns whose outer frames, seen at now_ns, are those remembered. */
int outer_frames_confirm(struct outer_frames *frames, int64_t tid, uint64_t sample_ns,
                         uint64_t now_ns, const struct unwind_place *places, size_t n_places);

/* The thread has ended. */
void outer_frames_forget_thread(struct outer_frames *frames, int64_t tid);

/* The address space is another (exec): nothing holds any more. */
void outer_frames_forget(struct outer_frames *frames);

/* What is remembered, from the place asked for outwards; valid until the next call that changes. */
struct outer_frames_match {
    const struct unwind_place *places; /* places[0] is the one asked for */
    size_t n_places;
    uint64_t time_ns;
};

/*
 * Are the last OUTER_FRAMES_NEIGHBOURS of places, ips and stack pointers,
 * neighbours in the remembered stack too? Says that a stack leads on there that
 * was the thread's at time_ns, not that it still does.
 */
bool outer_frames_find(const struct outer_frames *frames, int64_t tid,
                       const struct unwind_place *places, size_t n_places,
                       struct outer_frames_match *ret_match);

/* Is any stack of the thread remembered? */
bool outer_frames_have(const struct outer_frames *frames, int64_t tid);

enum outer_frames_verdict {
    OUTER_FRAMES_NEW,   /* nothing is remembered of this place */
    OUTER_FRAMES_SAME,  /* from there outwards the stacks are equal, and were before the sample */
    OUTER_FRAMES_LATER, /* … equal, but that was not seen before the sample */
    OUTER_FRAMES_OTHER, /* … not equal */
};

/*
 * Holds places[from …], the whole rest of a stack of sample_ns, against what is
 * remembered of places[from].
 */
enum outer_frames_verdict outer_frames_compare(const struct outer_frames *frames, int64_t tid,
                                               uint64_t sample_ns,
                                               const struct unwind_place *places, size_t n_places,
                                               size_t from);

/*
 * The place of the remembered stack that has this ip, among the
 * OUTER_FRAMES_START outermost of it that have a caller. False where there is
 * none, or where the ip occurs more than once in that stack.
 */
bool outer_frames_find_start(const struct outer_frames *frames, int64_t tid, uint64_t ip,
                             struct outer_frames_match *ret_match);
