/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * target_span - from a record of a program's ring to an event of the run
 *
 * Owner:   target_source_new()/_free(); the producer is borrowed.
 * Threads: one.
 * Tests:   target_ingest_test.c
 */

#include <stdbool.h>
#include <stdint.h>

#include "model/event.h"
#include "server/run_ingest.h"
#include "server/target_producer.h"
#include "server/target_tables.h"
#include "server/target_threads.h"
#include "target_ring/reader.h"

/* A program that a run reads, and what its numbers are in the run. */
struct target_source {
    struct target_producer *producer;
    bool is_gone;                     /* … when it was read last */
    bool is_read_out;                 /* … and there was nothing left */
    struct target_ring_counts counts; /* that were taken so far */
    uint64_t n_malformed;
    uint32_t inner_pid;                /* what it calls itself */
    struct target_threads *threads;    /* NULL: it calls them as we do */
    uint32_t n_last_slots;             /* so many more are looked at when the run ends */
    uint32_t lanes[TARGET_RING_LANES]; /* + 1; 0: not asked for yet */
    uint32_t names[TARGET_RING_NAMES]; /* 0: likewise */
    uint32_t chain[TARGET_RING_NAMES]; /* names that are inside of one another */
};

/* NULL when memory ran out. What the program had counted when its gate opened does not count. */
struct target_source *target_source_new(struct target_producer *producer,
                                        const struct target_ring_counts *counts);
struct target_source *target_source_free(struct target_source *source);

struct target_source_losses {
    uint64_t n_lost[EVENT_SPANS_LOST_CAUSE_N];
    uint64_t n_names_refused, n_lanes_refused, n_details_refused;
};

/* Since it was asked last. */
void target_source_take_losses(struct target_source *source,
                               struct target_source_losses *ret_losses);

struct target_span_place {
    struct target_tables *tables;
    struct run_ingest *ingest;
    uint64_t start_ns, now_ns;
};

#define TARGET_SPAN_TOLD (-1)

/* TARGET_SPAN_TOLD, or the enum event_spans_lost_cause why it was dropped. */
int target_span_tell(struct target_source *source, const struct target_span_place *place,
                     const struct target_ring_record *record);
