/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * perf_sources - all events of a recording and the one ring per CPU they share
 *
 * The first event opened on a CPU owns that CPU's ring; every later one is
 * redirected into it, so that the default mlock allowance suffices and one
 * read gives one CPU's history in order.
 *
 * Owner:   the caller's memory; perf_sources_release() closes and unmaps.
 * Threads: one.
 */

#include <linux/perf_event.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash_table.h"
#include "capture/linux/perf_ring.h"
#include "decode/perf_record.h"

struct perf_sources {
    uint32_t *cpus;
    size_t n_cpus;
    struct perf_ring *rings; /* n_cpus; data NULL until the first event of that CPU */
    int *ring_fds;           /* owner of each ring; also among fds */
    int *fds;
    size_t n_fds, fds_capacity;
    int *held_fds;
    size_t n_held_fds;
    struct hash_table formats; /* identifier → enum perf_format */
    size_t ring_bytes;         /* what the next ring is asked for; shrinks to what is allowed */
};

/* Finds the online CPUs. ring_bytes: a power of two, the most that is tried per CPU. */
int perf_sources_init(struct perf_sources *sources, size_t ring_bytes);
void perf_sources_release(struct perf_sources *sources);

/*
 * Opens one event, disabled. pid -1: every process. *ret_fd (may be NULL) is
 * borrowed. Negative errno; *ret_is_ring_trouble tells a refused ring from a
 * refused event.
 */
int perf_sources_add(struct perf_sources *sources, const struct perf_event_attr *attr, pid_t pid,
                     size_t cpu_index, enum perf_format format, int *ret_fd,
                     bool *ret_is_ring_trouble);

/* Keeps a descriptor that has no ring until release. Takes fd, also on failure. */
int perf_sources_hold(struct perf_sources *sources, int take_fd);

/* Enables every event from `first` on (of those it inherits to as well). */
int perf_sources_enable(struct perf_sources *sources, size_t first);
void perf_sources_disable(struct perf_sources *sources);

struct perf_formats perf_sources_formats(const struct perf_sources *sources);
