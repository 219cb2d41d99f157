/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * counter_session - the processor's counters, read together for each thread of the target
 *
 * A group on each thread and CPU: a timer that tells where the thread is, and
 * the counters that are read whenever it fires. The kernel counts them for
 * that thread alone, in both kinds of sessions.
 *
 * Shape:   threads born later inherit the group, with counts of their own,
 *          where the kernel can do that (Linux 6.13); else they get one when
 *          they are seen, COUNTER_LOOK_EVERY_NS after their birth at most, and
 *          children of the target get none.
 * Owner:   struct capture; the events are in its perf_sources.
 * Threads: the drain thread.
 * Limits:  COUNTER_EVENTS_MAX events and three quarters of the limit of
 *          descriptors: past them further threads are not counted, and a note
 *          says so.
 * Source:  docs/design/0013-counters.md
 * Tests:   counter_session_test.c, tests/e2e/test_counters.py
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash_table.h"
#include "model/capability.h"
#include "model/counter_set.h"

#define COUNTER_LOOK_EVERY_NS UINT64_C(50000000)
#define COUNTER_EVENTS_MAX 32768u

struct capture;
struct host;
struct perf_record;
struct perf_source_tag;

struct counter_session {
    struct counter_set set;
    uint8_t slots[LIMIT_COUNTERS]; /* by place in a group */
    size_t n_slots;
    bool is_inherited;
    bool is_started;
    bool is_full;              /* no more groups are opened */
    struct hash_table threads; /* tid → does it have a group that was opened for it? */
    uint64_t looked_at_ns;
    uint64_t n_surplus;
};

/* What this host has; opens and closes an event to find out. */
void counter_session_probe(const struct host *host, struct capability *ret_capability);

/*
 * After the other events, whose rings it uses. Never fails: where there is
 * nothing to be counted, or nothing more, the recording goes on without and
 * the set, and a note, say why. Of a target that is launched it counts from
 * its exec on.
 */
void counter_session_open(struct capture *capture);
/* Counts from now on. 0 or a negative errno. */
int counter_session_start(struct capture *capture);
void counter_session_release(struct capture *capture);

/* Groups on threads that have none, where they do not inherit them. Once per drain round. */
void counter_session_tend(struct capture *capture, uint64_t now_ns);

/* Of a thread with two groups, its own and an inherited one, one is to be read. */
bool counter_session_is_surplus(struct counter_session *session, const struct perf_source_tag *tag,
                                const struct perf_record *record);
/* Any other record: ends of threads. */
void counter_session_note(struct counter_session *session, const struct perf_record *record);
