/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * snapshot - one instant of a run, for a query to read at leisure
 *
 * The aggregator thread makes it between two batches: it copies what changes
 * (a few counters per thread and per distinct stack) and says how far the
 * append-only tables were filled. Readers then need no lock, see one moment
 * and cannot slow the aggregator. All views made from one snapshot agree.
 *
 * Owner:   counted: snapshot_ref(), snapshot_unref(). Tables behind it belong
 *          to the aggregate, which outlives its snapshots.
 * Threads: any number of readers.
 * Source:  docs/design/0003-stacks-and-time.md
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregate/slice_class.h"
#include "aggregate/stack_table.h"
#include "base/cleanup.h"
#include "images/image_table.h"
#include "model/event.h"
#include "model/ids.h"
#include "model/lane.h"

/* A place in the code. */
struct frame {
    image_id image;
    uint32_t code_epoch; /* in code without a file: when, see snapshot_code_epoch(); else 0 */
    uint64_t offset;     /* image_place.offset; of callers one byte before the return address */
};

/* One sample, as stored. */
struct stored_sample {
    uint64_t time_ns;
    stack_id stack;
    thread_id thread;
    uint16_t cpu;
    uint8_t slice_class; /* of the stretch on a CPU that it fell into, see slice_class.h */
    uint8_t unused;
    uint32_t period_ns; /* 0: unknown */
};

enum gap_kind { GAP_NONE, GAP_BLOCKED, GAP_RUNNABLE };

/*
 * One stretch on a CPU. Long stretches are stored in pieces; where a long wait
 * for a CPU is cut there is a slice of no length. In the order of their ends.
 */
struct stored_slice {
    uint64_t start_ns, end_ns;
    thread_id thread;
    uint16_t cpu;
    uint8_t before; /* enum gap_kind: what the thread did until start_ns */
    uint8_t after;
};

/* No slice lasts longer, and no GAP_RUNNABLE before one: bounds how far a range query looks past
 * its end. */
#define STORED_SLICE_MAX_NS UINT64_C(1000000000)

#define WAIT_FLAG_APPROXIMATE                                                                      \
    1u                   /* the stack is that of a look in between, or of an earlier wait          \
                          */
#define WAIT_FLAG_CUT 2u /* the stack does not reach the thread's start */

/*
 * A wait for something other than a CPU, from switch-out to switch-in;
 * [start_ns, wake_ns) was blocked, [wake_ns, end_ns) waited for a CPU. In the
 * order of their ends; where a switch-in was not told and inferred late, one
 * can be up to STORED_SLICE_MAX_NS out of it (wait_cursor.h finds those, too).
 * As recorded: switch_lag_ns is not taken off.
 */
struct stored_wait {
    uint64_t start_ns, wake_ns, end_ns; /* wake_ns is end_ns where nobody told */
    thread_id thread;
    stack_id stack; /* STACK_ID_EMPTY: not known */
    waker_id waker;
    stack_id waker_stack; /* STACK_ID_EMPTY: not known */
    wait_object_id object;
    uint8_t flags; /* WAIT_FLAG_* */
};

/* All waits of `thread` in `stack`, over the whole run. */
struct wait_sums {
    thread_id thread;
    stack_id stack;
    uint8_t flags;
    uint64_t n_waits, blocked_ns, runnable_ns, max_blocked_ns;
};

/* All that `waker` did to wake `wakee` from `waker_stack`, over the whole run. The waits that
 * nobody told the end of are here too, as ended by WAKER_ID_UNKNOWN. */
struct wake_sums {
    waker_id waker;
    thread_id wakee;
    stack_id waker_stack;
    uint64_t n_wakeups;   /* with those of threads that were not asleep */
    uint64_t blocked_ns;  /* of the waits that they ended */
    uint64_t runnable_ns; /* from wakeup to running */
};

/* A thread that has woken one of the target's and is none of them. */
struct outsider {
    int64_t tid;
    const char *name; /* "" where unknown; lives as long as the aggregate */
};

struct wait_object {
    int64_t pid;
    uint32_t syscall; /* EVENT_NO_SYSCALL: not told */
    uint64_t argument;
};

/* One reading of a thread's counters: what was added since the one before. */
struct stored_reading {
    uint64_t time_ns;
    thread_id thread;
    stack_id stack;
    uint32_t enabled_ns, running_ns; /* as in counter_time; UINT32_MAX: that or more */
    uint64_t values[LIMIT_COUNTERS]; /* by enum counter_slot, as counted */
};

/* What the counters of `thread` have counted in `stack`, over the whole run. */
struct counter_sums {
    thread_id thread;
    stack_id stack;
    uint64_t n_readings;
    uint64_t values[LIMIT_COUNTERS]; /* as counted */
};

/* How much of a thread's time was counted. */
struct counter_time {
    uint64_t enabled_ns; /* it ran so long … */
    uint64_t running_ns; /* … and for so long of that its counters counted */
    /* So much of that can come after the last reading on each CPU that it was read on, and on one
     * that it was not read on yet. */
    uint64_t tail_ns, longest_ns;
};

/* What to multiply a thread's counts by: 1 where nothing is missing, more where the processor's
 * counters were taken away for a while (multiplexed), 0 where they never counted: nothing is known.
 */
static inline double counter_time_scale(const struct counter_time *time)
{
    if (time->running_ns == 0) {
        return 0.0;
    }
    bool is_whole = time->enabled_ns <= time->running_ns + time->tail_ns + time->longest_ns;
    return is_whole ? 1.0 : (double)time->enabled_ns / (double)time->running_ns;
}

enum thread_phase {
    THREAD_PHASE_UNKNOWN,
    THREAD_PHASE_RUNNING,
    THREAD_PHASE_BLOCKED,
    THREAD_PHASE_RUNNABLE,
    THREAD_PHASE_GONE
};

struct thread_totals {
    int64_t pid, tid;
    const char *name; /* "" where unknown; lives as long as the aggregate */
    enum thread_phase phase;
    uint64_t start_ns, end_ns; /* absolute; end_ns 0 while alive */
    uint64_t phase_since_ns;
    uint64_t waited_since_ns; /* RUNNING: from here to phase_since_ns it waited for a CPU, not yet
                                 in a slice */
    /* Closed time plus the phase that is open at snapshot.now_ns: */
    uint64_t cpu_ns, blocked_ns, runnable_ns;
    uint64_t n_samples;
    uint64_t n_voluntary, n_involuntary;
    uint64_t period_ns;  /* of its last sample */
    int64_t creator_tid; /* who made it; 0: not told */
    /* BLOCKED: the wait that lasts, as far as it is known. */
    stack_id wait_stack;
    wait_object_id wait_object;
    uint8_t wait_flags;
};

/* How often `thread` was sampled in `stack`, by the length of the slices, over the whole run. */
struct sample_pair {
    thread_id thread;
    stack_id stack;
    uint8_t slice_class;
};

/* A lane: where work runs that a program reports itself. */
struct lane_totals {
    int64_t pid;
    const char *name; /* lives as long as the aggregate */
    uint8_t kind;     /* enum lane_kind */
    uint64_t n_spans; /* all of them … */
    /* … and the time inside the run of the outermost: inside of no name that was ever reported on
     * this lane. */
    uint64_t total_ns;
    uint64_t first_ns, last_ns;      /* earliest start, latest end */
    uint64_t states[ORIGIN_STATE_N]; /* what became of the origins of its spans */
};

/* Numbers begin at 1; in sums, 0 stands for names (and origins, waits) that found no room:
 * "(other)". */
struct span_name {
    uint32_t parent; /* the name that it is inside of; 0: none */
    const char *text;
};

/* All spans of `name` on `lane`, over the whole run. Percentiles: snapshot_span_quantile_ns(). */
struct span_sums {
    uint32_t lane, name;
    uint64_t n_spans;
    uint64_t total_ns;                  /* inside the run */
    uint64_t length_ns, min_ns, max_ns; /* of whole spans */
    uint64_t n_waited, waited_ns;       /* of these somebody waited, for so long */
};

/* All spans of `name` on `lane` whose origin came to `state`; if LINKED: in `stack` of `thread`.
 * Over the whole run, without those that are PENDING. */
struct origin_sums {
    uint32_t lane, name;
    thread_id thread; /* THREAD_ID_NONE where there is none */
    stack_id stack;
    uint8_t state;              /* enum origin_state */
    uint64_t n_spans, total_ns; /* inside the run */
};

/* All waits that were reported of `thread` for spans of `name` on `lane`, that began in `stack`
 * (STACK_ID_EMPTY: not found). A wait counts where it and the span overlap: what it shares. */
struct span_wait_sums {
    uint32_t lane, name;
    thread_id thread;
    stack_id stack;
    uint64_t n_waits, waited_ns;
};

#define STORED_SPAN_NO_DETAILS UINT32_MAX

struct stored_span {
    uint64_t start_ns, end_ns;
    uint64_t origin_ns; /* 0: not told */
    int64_t origin_tid;
    uint32_t lane, name;
    thread_id origin_thread; /* THREAD_ID_NONE: not known */
    stack_id origin_stack;   /* LINKED only */
    uint64_t distance_ns;    /* from the origin to where its stack was taken; LINKED and TOO_FAR */
    uint32_t details;        /* STORED_SPAN_NO_DETAILS, or for snapshot_span_details() */
    uint8_t state;           /* enum origin_state */
};

struct distance_figures {
    uint64_t n, min_ns, max_ns, sum_ns;
};

struct aggregate;

struct snapshot {
    struct aggregate *aggregate;
    uint64_t sequence;         /* number of the last event applied */
    uint64_t start_ns, now_ns; /* the run's first instant; its last event or, live, the present */
    uint64_t folded_until_ns;  /* stored samples and slices before this are gone; 0: none are */
    uint64_t n_samples, n_slices; /* stored so far; the first ones may have been folded away */
    uint64_t first_sample, first_slice;
    uint32_t n_frames, n_stacks, n_images;
    uint32_t n_code_epochs;
    size_t n_threads;
    const struct thread_totals *threads; /* by thread_id */
    size_t n_pairs; /* distinct but for the newest samples, which stand alone */
    const uint32_t *pair_counts;
    uint64_t class_ns[SLICE_CLASS_N];     /* CPU time of all threads by the length of slices, … */
    uint64_t class_slices[SLICE_CLASS_N]; /* … how many there were (that have ended) … */
    uint64_t class_samples[SLICE_CLASS_N]; /* … the samples in them … */
    uint64_t class_met_ns[SLICE_CLASS_N];  /* … and the sum of their periods */
    bool has_own_periods;                  /* periods of stored samples differ */
    uint64_t n_kernel_samples;             /* with kernel frames; 0 where it is not sampled */
    size_t n_newest;                       /* the last samples and pairs are these: */
    const struct stored_sample *newest;
    /* Waits that have ended: stored ones, then n_newest_waits that may still change by a few
     * microseconds. */
    uint64_t n_waits, first_wait;
    size_t n_newest_waits;
    const struct stored_wait *newest_waits;
    size_t n_wait_sums; /* with the newest waits, without those that last */
    const struct wait_sums *wait_sums;
    size_t n_wake_sums;
    const struct wake_sums *wake_sums;
    uint32_t n_outsiders, n_wait_objects;
    uint64_t n_wait_stacks_unknown;         /* waits whose stack was lost on the way */
    uint64_t n_long_waits, first_long_wait; /* see wait_cursor.h */
    uint64_t n_wait_details_full; /* waits whose object or waker is one too many to be told */
    /* Of the processor's counters; none where they were not recorded. */
    size_t n_counter_sums, n_counter_times;
    const struct counter_sums *counter_sums;
    const struct counter_time *counter_times; /* by thread_id; threads past them have none */
    uint64_t n_readings, first_reading;
    uint64_t n_readings_dropped; /* they made no sense, or there were too many places */
    /*
     * What the target reported itself. Stored spans come in the order in which they were read;
     * those before first_span are gone (their sums stay). longest_spans: of each lane and name the
     * longest SNAPSHOT_LONGEST_SPANS, also when they are gone from the store; by (lane, name),
     * longest first. */
    uint32_t n_lanes, n_span_names; /* names without number 0 */
    const struct lane_totals *lanes;
    size_t n_span_sums, n_origin_sums, n_span_wait_sums, n_longest_spans;
    const struct span_sums *span_sums;
    const struct origin_sums *origin_sums;
    const struct span_wait_sums *span_wait_sums;
    const struct stored_span *longest_spans;
    uint64_t n_spans, first_span;   /* stored so far */
    uint64_t spans_folded_until_ns; /* spans that ended before may be gone; 0: none are */
    uint64_t n_pending_spans;       /* the last ones: their origin is PENDING */
    struct distance_figures linked_distance, too_far_distance;
    uint64_t origin_bound_ns; /* further off than that nothing is linked */
    /* How often there was no room: sums that went to name 0, "(other)", of their lane; lengths that
     * are in no percentile; details that were left out. */
    uint64_t n_span_details_full;
    uint64_t spans_lost[EVENT_SPANS_LOST_CAUSE_N];
    uint64_t lost[EVENT_LOST_CAUSE_N];
    uint64_t n_wakeups; /* that somebody told of, those of threads that were awake included */
    uint64_t n_stacks_truncated, n_stacks_empty;
    uint64_t n_missed_switches; /* switch-ins that were never told and had to be inferred */
    uint64_t
        switch_lag_ns; /* how much earlier than recorded a slice begins (aggregate/switch_lag.h) */
    bool has_no_switches; /* CPU time is an estimate from samples, other times are unknown */
    uint64_t memory_bytes;
};

struct snapshot *snapshot_ref(struct snapshot *snapshot);
struct snapshot *snapshot_unref(struct snapshot *snapshot); /* accepts NULL, returns NULL */

static inline void snapshot_unrefp(struct snapshot **snapshot)
{
    *snapshot = snapshot_unref(*snapshot);
}

struct frame snapshot_frame(const struct snapshot *snapshot, frame_id id);
/* In whose memory and when frames of this code_epoch (not 0) were seen. */
struct epoch_span {
    int64_t pid;
    uint64_t from_ns, to_ns;
};
struct epoch_span snapshot_code_epoch(const struct snapshot *snapshot, uint32_t code_epoch);
struct stack_node snapshot_stack(const struct snapshot *snapshot, stack_id id);
const struct image *snapshot_image(const struct snapshot *snapshot, image_id id);
struct sample_pair snapshot_pair(const struct snapshot *snapshot, size_t index);
const struct stored_sample *snapshot_sample(const struct snapshot *snapshot, uint64_t index);
const struct stored_slice *snapshot_slice(const struct snapshot *snapshot, uint64_t index);
const struct stored_wait *snapshot_wait(const struct snapshot *snapshot, uint64_t index);
const struct stored_reading *snapshot_reading(const struct snapshot *snapshot, uint64_t index);
struct outsider snapshot_outsider(const struct snapshot *snapshot, waker_id waker);
/* The name of the place that a frame of image IMAGE_ID_NAMED stands for. */
const char *snapshot_named_place(const struct snapshot *snapshot, uint64_t offset);
struct wait_object snapshot_wait_object(const struct snapshot *snapshot, wait_object_id object);

#define SNAPSHOT_LONGEST_SPANS 16u

struct span_name snapshot_span_name(const struct snapshot *snapshot, uint32_t name);
/* A copy, since the origin of one that was PENDING is found later; by `index` < n_spans. */
struct stored_span snapshot_span(const struct snapshot *snapshot, uint64_t index);
/* Of a stored_span.details that is not STORED_SPAN_NO_DETAILS; names are this run's. */
const struct event_span_details *snapshot_span_details(const struct snapshot *snapshot,
                                                       uint32_t details);
/* The length that this part (0 … 1) of span_sums[index]'s spans does not exceed; off by 1 % at
 * most. */
uint64_t snapshot_span_quantile_ns(const struct snapshot *snapshot, size_t index, double part);

/* A part of the histogram that quantiles come from: so many spans are about so long. */
struct span_bucket {
    uint64_t number; /* the shortest length that belongs to it, in ns */
    uint64_t n_spans;
};

/* The first bucket of span_sums[index] from number `from` on that holds any; false: none does. */
bool snapshot_span_bucket(const struct snapshot *snapshot, size_t index, uint64_t from,
                          struct span_bucket *ret_bucket);
