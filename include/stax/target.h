/* SPDX-License-Identifier: MIT */
#ifndef STAX_TARGET_H
#define STAX_TARGET_H

/*
 * stax/target.h - what a program tells stax about work that no CPU sampler sees
 *
 * GPU kernels, accelerator queues, executors, codecs, queries: the program
 * reports them as named spans on lanes, and a recording shows them beside the
 * stacks of its threads, on the same clock.
 *
 *     static stax_lane lane;                            // once
 *     lane = stax_lane_new("decoder");
 *
 *     stax_origin origin = stax_origin_capture(lane);   // where work is queued
 *     ...
 *     stax_span span = stax_span_begin(lane, "decode frame", origin);
 *     decode();                                         // where it runs
 *     stax_span_end(&span);
 *
 * While nobody records this process all of it costs two loads and a branch:
 * nothing is allocated, no system call is made. Nothing here ever blocks,
 * prints, or fails the program; what cannot be reported is counted, see
 * stax_target_stats().
 *
 * Times:   ns of CLOCK_MONOTONIC, as stax_now_ns() tells them.
 * Threads: any, at once. Signal handlers: everything but stax_lane_new…(), the
 *          first use of a name, and the first call in a child after fork().
 * fork:    lanes and names stay good in the child. It has no second thread until
 *          its first call of stax_origin_capture(), a span's or a builder's: that
 *          starts the one that connects, and reports nothing yet. So that programs
 *          that ask first get there, stax_recording_active() is true until then.
 *          After a bare clone() the first stax_lane_new…() does it.
 * Limits:  1022 lanes, 65 534 names (2 MiB of text) for each process; a name
 *          is cut at 255 bytes; what is one too many is reported as "(other)".
 * Link:    pkg-config --cflags --libs stax-target. C99 and C++11.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define STAX_API __attribute__((visibility("default")))
#else
#define STAX_API
#endif

#define STAX_TARGET_VERSION 1

enum stax_lane_kind {
    STAX_LANE_GENERIC,
    STAX_LANE_GPU,
    STAX_LANE_METAL,
    STAX_LANE_CUDA,
    STAX_LANE_EXECUTOR,
    STAX_LANE_IO,
    STAX_LANE_DB
};

/* Where work runs, beside the threads. id 0: none; spans on it are not reported. */
typedef struct stax_lane {
    uint32_t id;
} stax_lane;

/* A name that was told once. id 0: none. */
typedef struct stax_name_id {
    uint32_t id;
} stax_name_id;

/* Where and when work was queued: travels with the work item. tid 0: not known. */
typedef struct stax_origin {
    uint64_t time_ns;
    uint32_t tid, pid;
} stax_origin;

/* One that was begun. start_ns 0: nobody records, and its end reports nothing. */
typedef struct stax_span {
    uint64_t start_ns;
    stax_origin origin;
    stax_lane lane;
    stax_name_id name;
} stax_span;

/* The word that says whether this process is recorded; never NULL. Use stax_recording_active(). */
extern STAX_API const uint32_t *stax_gate;

/* Whether anybody records this process now: two loads, no call. Also true in a child after fork()
 * until it has made its first call. */
static inline bool stax_recording_active(void)
{
    return __atomic_load_n(__atomic_load_n(&stax_gate, __ATOMIC_RELAXED), __ATOMIC_RELAXED) != 0;
}

/*
 * A lane with this name and kind: the same one each time they are told. The
 * first lane of a process starts the thread that connects to the server of
 * stax, and waits for it 20 ms at most, if there is a server.
 */
STAX_API stax_lane stax_lane_new(const char *name);
STAX_API stax_lane stax_lane_new_kind(const char *name, enum stax_lane_kind kind);

/* The same id each time for the same text. */
STAX_API stax_name_id stax_name(const char *text);

/* The same, of something that runs inside of `outer` on the same lane: both are shown nested, and
 * the time of the lane is that of the outermost. */
STAX_API stax_name_id stax_name_inside(stax_name_id outer, const char *text);

/* ns of CLOCK_MONOTONIC; never 0. */
STAX_API uint64_t stax_now_ns(void);

/* The calling thread, now; all 0 while nobody records. */
STAX_API stax_origin stax_origin_capture(stax_lane lane);

static inline stax_origin stax_no_origin(void)
{
    stax_origin none = {0, 0, 0};
    return none;
}

STAX_API stax_span stax_span_begin(stax_lane lane, const char *name, stax_origin origin);
STAX_API stax_span stax_span_begin_named(stax_lane lane, stax_name_id name, stax_origin origin);

/* Reports the span; a second end, or that of one that was never begun, reports nothing. Any
 * thread may end it. */
STAX_API void stax_span_end(stax_span *span);

/* A span whose times come from elsewhere (a GPU's counters, brought to CLOCK_MONOTONIC). */
STAX_API void stax_span_report(stax_lane lane, const char *name, uint64_t start_ns, uint64_t end_ns,
                               stax_origin origin);
STAX_API void stax_span_report_named(stax_lane lane, stax_name_id name, uint64_t start_ns,
                                     uint64_t end_ns, stax_origin origin);

/*
 * A span with more to tell. On the stack of the caller: stax_builder_init(),
 * any of the others, then stax_builder_report(), which may be called again
 * with other times. What does not fit (STAX_BUILDER_DETAILS) is left out and
 * counted. Strings are copied.
 */
#define STAX_BUILDER_DETAILS 15
typedef struct stax_span_builder {
    stax_lane lane;
    stax_name_id name;
    stax_origin origin;
    uint32_t n_details;
    bool is_active; /* somebody records */
    uint64_t details[STAX_BUILDER_DETAILS][8];
} stax_span_builder;

STAX_API void stax_builder_init(stax_span_builder *ret_builder, stax_lane lane, const char *name,
                                stax_origin origin);
/* Numbers of the program's own: of the queue, the command buffer, the dispatch. 0: none. */
STAX_API void stax_builder_ids(stax_span_builder *builder, uint64_t queue_id,
                               uint64_t command_buffer_id, uint64_t dispatch_id);
/* A thread has waited for this work to end: `waiter` is where and when it began to wait, end_ns
 * when it went on. Only such a span is shown below the waiter's stack. */
STAX_API void stax_builder_waited(stax_span_builder *builder, stax_origin waiter, uint64_t end_ns);
/* Where and when somebody took notice that it had ended. */
STAX_API void stax_builder_completed(stax_span_builder *builder, stax_origin completion);
/* Of the kernel, shader or query. Any text may be NULL. */
STAX_API void stax_builder_source(stax_span_builder *builder, const char *file, uint32_t line,
                                  const char *function);
STAX_API void stax_builder_counter(stax_span_builder *builder, const char *name, double value,
                                   const char *unit);
/* What it worked on: never contents. Up to 4 dimensions. */
STAX_API void stax_builder_attachment(stax_span_builder *builder, const char *label,
                                      uint64_t size_bytes, const uint32_t *dimensions,
                                      size_t n_dimensions);
STAX_API void stax_builder_report(const stax_span_builder *builder, uint64_t start_ns,
                                  uint64_t end_ns);

enum stax_target_state {
    STAX_TARGET_IDLE,      /* no lane was made yet */
    STAX_TARGET_NO_SERVER, /* looking for one, about once a second; in a child, once it reports */
    STAX_TARGET_CONNECTED, /* nobody records this process */
    STAX_TARGET_RECORDED,
    STAX_TARGET_REFUSED /* the server does not speak this version, or is somebody else's */
};

/* Counts of this process since its start (since fork() in a child); they only grow. */
typedef struct stax_stats {
    size_t size; /* set by the caller: sizeof(stax_stats); members past it are not written */
    enum stax_target_state state;
    uint64_t n_queued;            /* spans written for the server */
    uint64_t n_sent;              /* … and taken by it */
    uint64_t n_dropped_full;      /* the server fell behind: the newest are dropped */
    uint64_t n_dropped_no_server; /* ended, or not taken yet, when the recording was over */
    uint64_t n_names_refused, n_lanes_refused, n_details_refused;
} stax_stats;

STAX_API void stax_target_stats(stax_stats *ret_stats);

#ifdef __cplusplus
}
#endif

#endif
