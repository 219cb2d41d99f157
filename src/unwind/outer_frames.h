/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * outer_frames - the last whole stack of each thread
 *
 * Most of a deep stack does not change from one sample to the next. Where the
 * bytes of a sample end before the stack does, the rest is taken from the
 * thread's last whole one, if there is proof that it is the same rest.
 *
 * Shape:   proof is one of two:
 *          - the last OUTER_FRAMES_PROOF places have the same ips and the same
 *            stack pointers as neighbouring places of the remembered stack;
 *          - the last place is one of the OUTER_FRAMES_START outermost of it
 *            (code that only starts threads has one caller each).
 * Owner:   outer_frames_new()/_free(). Threads: one.
 * Limits:  OUTER_FRAMES_MAX_THREADS threads; a new one then takes the place
 *          of an old one.
 * Tests:   outer_frames_test.c
 */

#include "base/cleanup.h"
#include "unwind/unwind.h"

#define OUTER_FRAMES_PROOF 4u
#define OUTER_FRAMES_START 3u
#define OUTER_FRAMES_MAX_THREADS 4096u

struct outer_frames;

int outer_frames_new(struct outer_frames **ret_frames);
struct outer_frames *outer_frames_free(struct outer_frames *frames);
DEFINE_FREEP(outer_frames);

/* Keeps the stack of a thread (places innermost first) until its next one. 0 or -ENOMEM. */
int outer_frames_remember(struct outer_frames *frames, int64_t tid,
                          const struct unwind_place *places, size_t n_places);

/* The address space is another (exec): nothing holds any more. */
void outer_frames_forget(struct outer_frames *frames);

/* Would outer_frames_recall() by_sp go on from here? */
bool outer_frames_know(const struct outer_frames *frames, int64_t tid,
                       const struct unwind_place *places, size_t n_places);

/* As unwind_walk.recall: appends what follows the last place; returns the new count, or 0. */
size_t outer_frames_recall(struct outer_frames *frames, int64_t tid, struct unwind_place *places,
                           size_t n_places, size_t max_places, bool by_sp);
