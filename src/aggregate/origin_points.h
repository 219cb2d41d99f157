/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * origin_points - when a thread was where: samples and switch-outs by time
 *
 * Kept once a run has lanes, so that the stack next to an origin is found.
 *
 * Shape:   for each thread chunks of points in the order of their times; a
 *          stack is its user part. Of points without a stack that follow each
 *          other within ORIGIN_POINTS_NEAR_NS only the first and the last stay.
 * Owner:   the caller's memory.
 * Threads: one.
 * Limits:  max_bytes; then the oldest chunk of all goes, but the one that its
 *          thread is writing to, unless there are only such.
 * Source:  docs/design/0020-target-spans.md
 * Tests:   origin_points_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/ids.h"

#define ORIGIN_POINTS_NEAR_NS UINT64_C(500000)
#define ORIGIN_POINTS_CHUNK 255u

struct origin_point {
    uint64_t time_ns;
    stack_id stack; /* STACK_ID_EMPTY: nothing of the program is known of this moment */
};

struct origin_chunk;

struct origin_thread {
    struct origin_chunk **chunks; /* oldest first; the newest is written to */
    size_t first, end, capacity;  /* of chunks */
    bool has_had_points;
};

struct origin_points {
    struct origin_thread *threads; /* by thread_id */
    size_t n_threads, capacity;
    struct origin_chunk *oldest, *newest; /* all of them, by when they were begun */
    size_t n_chunks, max_chunks;
    uint64_t n_dropped;
};

/* What is near a moment of a thread. */
struct origin_near {
    bool has_points;      /* something is known of the thread at all */
    bool has_stack;       /* … with a stack within the bound: */
    stack_id stack;       /* the nearest of these, of two as near the earlier */
    uint64_t distance_ns; /* to that, or where there is none to the nearest of all */
};

void origin_points_init(struct origin_points *points, size_t max_bytes);
void origin_points_release(struct origin_points *points);

/* A point behind those of the thread; a time before that of the last is taken for that. 0 or
 * -ENOMEM. */
int origin_points_add(struct origin_points *points, thread_id thread, struct origin_point point);

/* The stack of the last point of the thread was found out later. False: that is of another time. */
bool origin_points_amend(struct origin_points *points, thread_id thread, struct origin_point point);

struct origin_near origin_points_find(const struct origin_points *points, thread_id thread,
                                      uint64_t time_ns, uint64_t bound_ns);
size_t origin_points_memory_bytes(const struct origin_points *points);
