/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_internal - what run.c and run_describe.c share
 *
 * Owner:   the run.
 * Threads: said by each group of members.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "aggregate/aggregate.h"
#include "archive/run_symbols.h"
#include "jit/jit_left.h"
#include "jit/jit_tail.h"
#include "model/results/archived_run.h"
#include "model/results/diagnose.h"
#include "server/object_names.h"
#include "server/run.h"
#include "server/snapshot_desk.h"
#include "server/target_process.h"
#include "unwind/unwinder.h"

#define RUN_MAX_NOTES 12
#define RUN_NOTE_BYTES 400
#define RUN_FREEZES_TOLD 8 /* the newest ones, by their numbers */

/* How much longer history is kept than --ring says and a wait can last until it is noticed: until
 * it is frozen. */
#define RUN_RING_SLACK_NS UINT64_C(2000000000)
#define RUN_NO_EXIT_STATUS INT64_MIN

/* Of the calling thread, where that is allowed: what falls behind here is lost. */
void run_raise_priority(void);

struct run;

/* A run without threads, capture and aggregate, for what was recorded elsewhere. 0 or -ENOMEM. */
int run_new_idle(struct symbolizer *symbolizer, struct run **ret_run);

/* A run as above that is a part of `parent`, and has its names. 0 or -ENOMEM. */
int run_new_part(struct run *parent, struct run **ret_run);

/* What became of the stalls of a run (run_freeze.h). */
struct run_freezes {
    uint64_t n_frozen, n_skipped, n_refused;
    uint64_t n_taken, taken_bytes; /* of parts, and of parts of these, listed or not yet */
    run_id ids[RUN_FREEZES_TOLD];  /* a ring */
};

/* What an aggregate of the run is made with: it tells the run's names of images. */
struct aggregate_config run_aggregate_config(struct run *run);

/* It is over, and this is all of it. */
void run_settle_idle(struct run *run, struct snapshot *take_final);

struct run {
    atomic_uint n_refs;

    /* Constant after run_new(). */
    run_id id;
    const struct capture_ops *ops;
    struct arena arena; /* of the strings of the request */
    struct start_request request;
    void (*on_change)(void *userdata);
    void *userdata;
    struct aggregate *aggregate; /* the aggregator's */
    struct unwinder *unwinder;   /* the aggregator's; NULL: frame pointers only */
    struct query_names *names;
    struct object_names *object_names;
    struct jit_code *jit;
    struct jit_tail *jit_tail; /* NULL: the events are no process' of this host, */
    struct jit_left *jit_left; /* or were: NULL as well */
    struct run_ingest *ingest;
    struct target_ingest *spans; /* NULL: nothing reports any, it was recorded before */
    struct target_producers *producers;
    struct snapshot_desk desk;

    /* Of an opened run, constant: what the archive says. In the arena; NULL: it was recorded here.
     */
    const struct archived_run *archived;
    const struct diagnose_result *diagnosis;
    struct run_symbols *symbols;
    struct import *import; /* whose events were recorded by another tool; NULL: none */

    /* Of a part that was frozen, constant: a reference to the run that has the names, NULL: none.
     */
    struct run *parent;
    char frozen_reason[RUN_NOTE_BYTES];

    /* Written by the drain thread while STARTING, constant afterwards. */
    struct target_process target;
    struct error error;
    uint32_t frequency_hz;
    uint64_t start_ns, started_at_unix_ns;
    char backend[160];
    struct counter_set counters;

    /* Published by the run's threads, read by any. */
    atomic_int phase; /* enum run_phase */
    atomic_int end;   /* enum run_end: asked for, or what happened */
    atomic_uint_fast64_t n_samples, sequence;
    atomic_int_fast64_t exit_status;

    /* Behind the lock: the capture while it lives, else what it said last. */
    pthread_mutex_t lock;
    struct capture *capture;
    struct capture_stats stats;
    size_t n_notes;
    char notes[RUN_MAX_NOTES][RUN_NOTE_BYTES];
    struct error end_error;
    struct run_freezes freezes;

    /* What the unwinder tells and asks the capture can take long (a target's memory may be a file
     * on another machine): it holds a lock of its own meanwhile, for which only the run's end
     * waits. NULL: before and after the capture. */
    pthread_mutex_t unwind_lock;
    struct capture *unwind_capture;

    pthread_t drain_thread, aggregator_thread;
    bool has_drain_thread, has_aggregator_thread; /* the main loop's */
};
