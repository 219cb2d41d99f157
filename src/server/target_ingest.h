/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * target_ingest - spans of the programs that a run records, as events of it
 *
 * The main loop offers every connected program; those that the run records
 * have their gate opened at once, and what lay in their ring before is passed
 * over. The drain thread reads the rings and gives every lane and name a number
 * of the run's own, told before it is used.
 *
 * Owner:   target_ingest_new()/_free(); holds references to programs from
 *          offer to end.
 * Threads: offer, stats: any. on_events, begin, poll and end: the run's drain
 *          thread.
 * Limits:  LIMIT_LANES, LIMIT_SPAN_NAMES (the last of each is "(other)"),
 *          LIMIT_SPAN_DEPTH; TARGET_INGEST_POLL_SLOTS slots for each poll, so
 *          that a program that reports without end does not keep the kernel's
 *          rings from being read.
 * Source:  docs/design/0020-target-spans.md
 * Tests:   target_ingest_test.c; tests/fuzz/fuzz_target_ring.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "model/event.h"
#include "server/run_ingest.h"
#include "server/target_producer.h"
#include "target_ring/layout.h"

#define TARGET_INGEST_POLL_SLOTS 65536u
/* Spans are read at least so often while a program is connected. */
#define TARGET_INGEST_POLL_MS 5

struct target_ingest;

struct target_ingest_config {
    int64_t pid;
    bool follows_children;     /* also those that events tell to be the run's */
    struct run_ingest *ingest; /* outlives it */
};

/* Counters only grow. */
struct target_ingest_stats {
    uint64_t n_sources;                      /* programs that the run has recorded */
    uint64_t n_children;                     /* … and that it has not, but would with children */
    uint64_t n_batches;                      /* polls that brought spans */
    uint64_t n_spans;                        /* received, and kept or not */
    uint64_t n_details[TARGET_RING_PADDING]; /* by enum target_ring_slot_kind */
    uint64_t n_dropped[EVENT_SPANS_LOST_CAUSE_N];
    uint64_t n_lanes, n_names;                                    /* told */
    uint64_t n_names_refused, n_lanes_refused, n_details_refused; /* by the programs themselves */
};

int target_ingest_new(const struct target_ingest_config *config, struct target_ingest **ret_target);
struct target_ingest *target_ingest_free(struct target_ingest *target); /* after end() */
DEFINE_FREEP(target_ingest);

/* A program is connected. Before begin() it is kept in mind, after end() nothing happens. */
void target_ingest_offer(struct target_ingest *target, struct target_producer *producer);

/* What the capture has delivered: which processes the run records. */
void target_ingest_note(struct target_ingest *target, const struct event *events, size_t n_events);

/* The run records from start_ns on: the gates open. */
void target_ingest_begin(struct target_ingest *target, uint64_t start_ns);

/* Reads what there is. Returns after how many ms it should be called again; -1: no need. */
int target_ingest_poll(struct target_ingest *target, uint64_t now_ns);

/* The gates close. */
void target_ingest_close(struct target_ingest *target);

/* What was reported until now is read, and the programs are let go. */
void target_ingest_end(struct target_ingest *target, uint64_t now_ns);

void target_ingest_stats(struct target_ingest *target, struct target_ingest_stats *ret_stats);
