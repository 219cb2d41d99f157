/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run - one recording: its two threads, its state, and how it ends
 *
 * The drain thread takes events out of the capture backend, the aggregator
 * thread folds them; whoever asks gets snapshots. Whatever ends a run - the
 * target's end, a stop, the time limit, the server's end, a failure - goes one
 * way: stop the capture (which delivers everything up to now), let the queue
 * run empty, close the aggregate, then tell.
 *
 * Owner:   counted: run_ref(), run_unref(). The registry holds one reference,
 *          every question one.
 * Threads: run_new, run_stop, run_join: the main loop. The rest: any.
 * Tests:   run_test.c
 */

#include <stdbool.h>
#include <stdint.h>

#include "aggregate/snapshot.h"
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "capture/capture.h"
#include "model/requests.h"
#include "model/results/run.h"
#include "query/query_names.h"
#include "server/run_ingest.h"
#include "symbols/symbolizer.h"
#include "unwind/cfi_store.h"

struct import;
struct object_names;
struct run;
struct target_producer;
struct target_producers;

enum run_phase {
    RUN_PHASE_STARTING,
    RUN_PHASE_FAILED, /* it never began: run_error() says why */
    RUN_PHASE_RECORDING,
    RUN_PHASE_STOPPING, /* no new events; what is queued is still being folded */
    RUN_PHASE_STOPPED,
};

enum run_end {
    RUN_END_NONE,
    RUN_END_TARGET_EXITED,
    RUN_END_STOPPED,
    RUN_END_TIME_LIMIT,
    RUN_END_SERVER_SHUTDOWN,
    RUN_END_FAILED,
};

struct run_config {
    run_id id;
    const struct capture_ops *capture;
    const struct start_request *request; /* borrowed during run_new() */
    struct symbolizer *symbolizer;       /* outlives the run */
    struct cfi_store *cfi_store;         /* outlives the run; NULL: no unwinding */
    struct import *take_import;          /* the file that capture plays; NULL: a recording */
    struct target_producers *producers;  /* whose figures diagnose shows; outlives it; or NULL */
    /* Called by a thread of the run at each change of phase after STARTING; must not block. */
    void (*on_change)(void *userdata);
    void *userdata;
};

/* Begins to start; on_change() tells the outcome. 0 or -ENOMEM, -EAGAIN (no thread). */
int run_new(const struct run_config *config, struct run **ret_run);
struct run *run_ref(struct run *run);
struct run *run_unref(struct run *run); /* accepts NULL, returns NULL */

static inline void run_unrefp(struct run **run)
{
    *run = run_unref(*run);
}

/* A program is connected that can report spans: if the run records it, it does from now on. */
void run_offer_producer(struct run *run, struct target_producer *producer);
/* How many it has recorded; -1: nobody knows, the run was opened. */
int64_t run_count_span_programs(const struct run *run);

/* Children of the target that could report spans and are not recorded. */
uint32_t run_count_span_children(const struct run *run);

/* Asks for the end; returns at once. The first cause counts. */
void run_stop(struct run *run, enum run_end cause);

/* Waits for the threads of a run that is STOPPED or FAILED: they are past everything that takes
 * time. */
void run_join(struct run *run);

/* Of one that was opened, before anybody else knows it. */
void run_set_id(struct run *run, run_id id);
run_id run_get_id(const struct run *run);
enum run_phase run_get_phase(const struct run *run);
enum run_state run_get_state(const struct run *run); /* as results say it */

/* What it waits for, and where its code lies, can still be asked. */
bool run_has_live_target(const struct run *run);

/* What was asked for. Borrowed. */
const struct start_request *run_get_request(const struct run *run);

/* Why it FAILED, or how the capture broke. */
const struct error *run_get_error(const struct run *run);

/* "pid 4711, ./bench"; once it is past STARTING. */
int64_t run_get_pid(const struct run *run);
const char *run_get_command(const struct run *run);

/* How far the aggregator is; cheap. */
uint64_t run_get_samples(const struct run *run);
uint64_t
run_get_sequence(const struct run *run); /* grows with every change of what a query can see */

void run_set_exit_status(struct run *run, int32_t exit_status);

/* The present, or the final state. Blocks: not for the main loop. NULL when memory ran out. */
struct snapshot *run_take_snapshot(struct run *run);
struct query_names *run_get_names(struct run *run);
struct object_names *run_get_object_names(struct run *run);

/* Waits, not longer than timeout_ms, until what programs have told of their own code is read. */
void run_settle_jit(struct run *run, int timeout_ms);

/* The run as the registry tells it. `snapshot` is borrowed. 0 or -ENOMEM. */
int run_describe(struct run *run, const struct snapshot *snapshot, struct arena *arena,
                 struct run_info *ret_info);

/* For diagnose: the backend's counters and the queue's, live or as they were at the end. */
void run_get_stats(struct run *run, struct capture_stats *ret_capture,
                   struct run_ingest_stats *ret_ingest);
const char *run_get_backend(const struct run *run);
/* Which of the processor's counters are read; once it is past STARTING. Borrowed from the run. */
const struct counter_set *run_get_counters(const struct run *run);
bool run_has_kernel(const struct run *run); /* kernel frames were wanted */
