/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * fake_stream - the events of a program that does not exist
 *
 * The same script gives the same stream, event by event, so that a bench can
 * be repeated and a test knows the truth: what ran when follows from the
 * script by arithmetic.
 *
 * Shape:   a few threads take turns on a few CPUs. Sample k is at
 *          start + (k + 1) * step, on CPU k % cpus, in the thread that runs
 *          there. Stacks share their outer frames like the branches of a tree;
 *          stack j is about 1/j as frequent as stack 1.
 * Owner:   fake_stream_new()/_free(); an event's parts are valid until the next call.
 * Threads: one.
 * Tests:   fake_stream_test.c
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "capture/fake/fake_script.h"
#include "model/event.h"

/* Above every pid that Linux can give (PID_MAX_LIMIT is 2^22), so that no real process is meant. */
#define FAKE_STREAM_PID INT64_C(4194305)

struct fake_stream;

int fake_stream_new(const struct fake_script *script, uint64_t start_ns,
                    struct fake_stream **ret_stream);
struct fake_stream *fake_stream_free(struct fake_stream *stream);
DEFINE_FREEP(fake_stream);

/*
 * Fills in at most max_events further events, at most max_samples samples
 * among them, and returns how many; 0 only when max_samples is 0 or all is
 * played. The ips of all of them are valid until the next call.
 */
size_t fake_stream_next(struct fake_stream *stream, struct event *events, size_t max_events,
                        uint64_t max_samples);

/* All samples are out; what remains is the end of the threads. */
bool fake_stream_is_played(const struct fake_stream *stream);

/* The end of one more thread, in the same order each time; 0 when all have ended. */
size_t fake_stream_finish(struct fake_stream *stream, struct event *events, size_t max_events);

uint64_t fake_stream_samples(const struct fake_stream *stream);
