/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * perf_events - typed perf records to neutral events
 *
 * Owner:   the translator is the caller's memory, events go into the caller's batch.
 * Threads: one per translator.
 * Tests:   perf_events_test.c, tests/golden/perf
 */

#include <stdbool.h>
#include <stdint.h>

#include "decode/perf_record.h"
#include "model/event_batch.h"

struct perf_translator {
    int64_t pid;
    /* Records of other processes can be among them (per-CPU events); they are dropped. */
    bool is_wide;
    bool follow_children;
    /*
     * By CPU number: the target's thread that runs there, 0 where none does. A
     * thread in its last steps has lost its number, and its samples say -1.
     */
    int32_t *running_tids; /* borrowed; may be NULL */
    size_t n_running_tids;
    uint64_t n_foreign;
    uint64_t n_truncated_stacks;
    uint64_t n_samples, n_copies; /* of the target; of them with registers */
    uint64_t copied_bytes;        /* of stacks */
    uint64_t n_births;            /* of threads */
    /* By place in a group: enum counter_slot. Values past n_counters have no name. */
    uint8_t counter_slots[LIMIT_COUNTERS];
    size_t n_counters;
    uint64_t n_counter_readings;
};

/*
 * Adds what the record says to the batch, which must have room
 * (event_batch_has_room()). Returns how many events were added; 0 for records
 * that say nothing about the target.
 */
int perf_events_translate(struct perf_translator *translator, const struct perf_record *record,
                          struct event_batch *batch);
