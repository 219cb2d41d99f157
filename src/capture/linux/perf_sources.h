/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * perf_sources - all events of a recording and the one ring per CPU they share
 *
 * The first event opened on a CPU owns that CPU's ring; every later one is
 * redirected into it, so that the default mlock allowance suffices and one
 * read gives one CPU's history in order.
 *
 * Shape:   events come in sets: those that last as long as the recording (the
 *          owners of the rings must be among them), and those that are
 *          replaced when samples are to carry another size of stack. A record
 *          says by its identifier which event it is from, also after that was
 *          closed, until perf_sources_forget_closed().
 * Owner:   the caller's memory; perf_sources_release() closes and unmaps. A
 *          set outside of the struct is the caller's to move in or to close.
 * Threads: one.
 */

#include <linux/perf_event.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash_table.h"
#include "capture/linux/perf_ring.h"
#include "decode/perf_record.h"

#define PERF_SOURCES_GENERATIONS 16u

/* What an identifier stands for. */
struct perf_source_tag {
    enum perf_format format;
    uint8_t generation; /* below PERF_SOURCES_GENERATIONS */
    pid_t tid;          /* the thread it was opened on; 0: every one */
};

struct perf_source {
    int fd;
    uint64_t identifier;
    struct perf_source_tag tag;
    uint64_t period_ns; /* 0: as it was opened */
};

struct perf_source_set {
    struct perf_source *items;
    size_t n_items, capacity;
};

struct broker_client;

struct perf_sources {
    struct broker_client *broker; /* borrowed: who opens events for us; NULL: nobody has to */
    uint32_t *cpus;
    size_t n_cpus;
    struct perf_ring *rings; /* n_cpus; data NULL until the first event of that CPU */
    int *ring_fds;           /* owner of each ring; also in `lasting` */
    struct perf_source_set lasting, samples;
    struct perf_source_set counters; /* groups of them, counter_session.h */
    int *held_fds;
    size_t n_held_fds;
    struct hash_table tags; /* identifier → struct perf_source_tag, packed */
    size_t ring_bytes;      /* what the next ring is asked for; shrinks to what is allowed */
};

struct perf_source_request {
    const struct perf_event_attr *attr;
    pid_t pid; /* -1: every process */
    size_t cpu_index;
    enum perf_format format;
    uint8_t generation;
};

/* Finds the online CPUs. ring_bytes: a power of two, the most that is tried per CPU. */
int perf_sources_init(struct perf_sources *sources, struct broker_client *broker,
                      size_t ring_bytes);
void perf_sources_release(struct perf_sources *sources);

/* As perf_open(), by ourselves or by the broker; cpu -1: any. */
int perf_sources_open_event(const struct perf_sources *sources, const struct perf_event_attr *attr,
                            pid_t pid, int cpu);

/*
 * Opens one event, as its attributes say enabled or not. *ret_fd (may be NULL)
 * is borrowed. Negative errno; *ret_is_ring_trouble tells a refused ring from
 * a refused event.
 */
int perf_sources_add(struct perf_sources *sources, struct perf_source_set *set,
                     const struct perf_source_request *request, int *ret_fd,
                     bool *ret_is_ring_trouble);

/* An event that was opened elsewhere joins the set; its records go into the ring of its CPU, which
 * must be there. Takes fd, also on failure. */
int perf_sources_adopt(struct perf_sources *sources, struct perf_source_set *set, size_t cpu_index,
                       const struct perf_source_tag *tag, int take_fd);

/* Keeps a descriptor that has no ring until release. Takes fd, also on failure. */
int perf_sources_hold(struct perf_sources *sources, int take_fd);

/* An event of thread `tid` without a ring joins the set. Takes fd, also on failure. */
int perf_source_set_adopt(struct perf_source_set *set, int take_fd, pid_t tid);

/* Every event of the set, and of those that inherited it. */
int perf_source_set_enable(const struct perf_source_set *set);
void perf_source_set_disable(const struct perf_source_set *set);
/* Leaves it empty. */
void perf_source_set_close(struct perf_source_set *set);

/* Forgets what the identifiers of closed events stood for, when no record of theirs is left. */
int perf_sources_forget_closed(struct perf_sources *sources);

/* False for an identifier that nobody knows. */
bool perf_sources_find(const struct perf_sources *sources, uint64_t identifier,
                       struct perf_source_tag *ret_tag);
struct perf_formats perf_sources_formats(const struct perf_sources *sources);
