/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_ingest - events from the drain thread to the aggregator thread
 *
 * Step 5 of the life of a sample: the one queue between kernel and aggregate.
 * Batches are copied into slabs of a fixed pool; when the aggregator falls
 * behind, the pool runs dry and events are dropped and counted, never waited
 * for. Samples are dropped first: the last slabs are kept for threads, images
 * and switches, so that names and exact times survive an overload.
 *
 * Spans that programs report themselves wait where they are as soon as a quarter
 * of the pool is left: they cannot push out what the kernel tells.
 *
 * Shape:   a slab also says up to which time the stream is complete; it comes
 *          empty when nothing happens, so that a sleeping target's time passes.
 * Owner:   run_ingest_new()/_free(). A slab is lent by run_ingest_next() and
 *          given back with run_ingest_return().
 * Threads: on_events, …_told, progress and end: the producer. next, wait and return:
 *          the consumer. wake, stats: any.
 * Limits:  RUN_INGEST_SLABS slabs of RUN_INGEST_SLAB_EVENTS events; past that
 *          EVENT_LOST with EVENT_LOST_QUEUE_FULL follows as soon as there is room,
 *          EVENT_SPANS_LOST likewise.
 * Tests:   run_ingest_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "model/event_batch.h"
#include "model/event_sink.h"

#define RUN_INGEST_SLABS 384u /* 0.4 s of a million events/s, mostly untouched */
#define RUN_INGEST_SLAB_EVENTS 1024u

struct run_ingest;

struct run_ingest_config {
    size_t n_slabs; /* 0: RUN_INGEST_SLABS */
    bool
        waits_for_room; /* the producer waits instead of dropping (replays that must be complete) */
};

struct run_slab {
    struct event_batch *batch;
    uint64_t complete_until_ns;
    bool is_last; /* nothing follows; complete_until_ns is the end of the run */
};

/* Counters only grow. */
struct run_ingest_stats {
    uint64_t n_slabs;
    uint64_t n_pushed;     /* slabs handed over */
    uint64_t n_fill_max;   /* most slabs in the queue at once */
    uint64_t n_lost;       /* events dropped */
    uint64_t n_spans_lost; /* spans dropped, not in n_lost */
    uint64_t n_wakeups;    /* times the aggregator went to sleep */
    uint64_t memory_bytes; /* of the pool, when all of it is used */
};

int run_ingest_new(const struct run_ingest_config *config, struct run_ingest **ret_ingest);
struct run_ingest *run_ingest_free(struct run_ingest *ingest);
DEFINE_FREEP(run_ingest);

/* The run is over and both threads are gone: frees the slabs, keeps the figures. */
void run_ingest_retire(struct run_ingest *ingest);

/* The producer's side. */
struct event_sink run_ingest_sink(struct run_ingest *ingest);

/* Otherwise what programs tell is better left where it is until there is. */
bool run_ingest_has_room_for_told(const struct run_ingest *ingest);

/*
 * One of EVENT_LANE, EVENT_SPAN_NAME and EVENT_SPAN, which have no place in the
 * order of the others: its time_ns becomes that of the latest event. False: there
 * is no room; a span is counted, of the others the caller must not use the number.
 */
bool run_ingest_add_told(struct run_ingest *ingest, const struct event *event);

/* So many spans did not come, for another cause than EVENT_SPANS_LOST_QUEUE_FULL. */
void run_ingest_lose_spans(struct run_ingest *ingest, enum event_spans_lost_cause cause,
                           uint64_t count);

/* Ends a round: hands over what there is, unless the consumer is behind anyway. */
void run_ingest_flush(struct run_ingest *ingest);

/* Every event up to this time has been given to on_events(). Cheap when nothing is due. */
void run_ingest_progress(struct run_ingest *ingest, uint64_t complete_until_ns);

/* The last word of the producer. The run ends at the latest event, if that is later. */
void run_ingest_end(struct run_ingest *ingest, uint64_t end_ns);

/* The time of the latest event so far. */
uint64_t run_ingest_latest_ns(const struct run_ingest *ingest);

/* The consumer's side: the next slab, or NULL when there is none now. */
struct run_slab *run_ingest_next(struct run_ingest *ingest);
void run_ingest_return(struct run_ingest *ingest, struct run_slab *slab);

/*
 * Waits for a slab or a run_ingest_wake(). `has_work` is asked once more
 * before sleeping. Returns the slab, or NULL when something else woke it.
 */
struct run_slab *run_ingest_wait(struct run_ingest *ingest, bool (*has_work)(void *userdata),
                                 void *userdata);
void run_ingest_wake(struct run_ingest *ingest);

void run_ingest_stats(const struct run_ingest *ingest, struct run_ingest_stats *ret_stats);
