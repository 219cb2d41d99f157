/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * perf_attr - the event attributes that stax opens, each built here
 *
 * Owner:   the caller's memory. Threads: any.
 * Source:  perf_event_open(2); docs/design/0002-opening-events.md
 * Tests:   perf_attr_test.c
 */

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>

#include "decode/perf_record.h"

struct perf_attr_config {
    uint64_t period_ns;
    bool exclude_kernel; /* the host refuses anything else */
    bool no_kernel_frames;
    bool inherit_threads;  /* per-task events: threads born later */
    bool inherit_children; /* … and processes */
    bool with_switches;    /* PERF_RECORD_SWITCH */
    uint32_t stack_bytes;  /* copied with each sample, and the registers; 0: neither */
    uint32_t wakeup_bytes; /* of ring fill */
};

/* Timer samples with callchain; per-task ones carry the side band (images, names, births) too. */
void perf_attr_samples(const struct perf_attr_config *config, bool with_side_band,
                       struct perf_event_attr *ret_attr);

/* How the records of such samples are to be read. */
enum perf_format perf_attr_samples_format(const struct perf_attr_config *config);

/* Images, names, births and deaths, and switches where they are wanted. */
void perf_attr_side_band(const struct perf_attr_config *config, struct perf_event_attr *ret_attr);

/* Counts nothing and is not inherited: keeps a thread's context from being swapped with a child's.
 */
void perf_attr_anchor(struct perf_event_attr *ret_attr);

/*
 * Counters: the leader of their group is a timer, whose samples say where the
 * thread was and what each of the group has counted; the others only count.
 */
void perf_attr_counter_leader(const struct perf_attr_config *config,
                              struct perf_event_attr *ret_attr);
void perf_attr_counter(const struct perf_attr_config *config, uint32_t type, uint64_t event,
                       struct perf_event_attr *ret_attr);

/* What our scheduler program writes (struct sched_payload). */
void perf_attr_sched(const struct perf_attr_config *config, struct perf_event_attr *ret_attr);
