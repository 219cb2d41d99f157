/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * event - what any operating system, archive or importer can tell
 *
 * The narrow waist of stax: capture backends, replay and importers produce
 * these, the aggregator consumes them and cannot tell the producers apart.
 *
 * Shape:   a tagged struct; times are CLOCK_MONOTONIC in ns.
 * Owner:   events, ips and names are borrowed: valid until on_events() returns.
 * Threads: delivered by one thread, in time order.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/limits.h"

enum event_kind {
    EVENT_NONE, /* never delivered */
    EVENT_SAMPLE,
    EVENT_SWITCH_IN,
    EVENT_SWITCH_OUT,
    EVENT_WAIT_SEEN,
    EVENT_WAKEUP,
    EVENT_COUNTERS,
    EVENT_THREAD,
    EVENT_IMAGE,
    EVENT_LOST,
    EVENT_LANE,
    EVENT_SPAN_NAME,
    EVENT_SPAN,
    EVENT_SPANS_LOST,
    EVENT_KIND_N
};

enum event_thread_change {
    EVENT_THREAD_PRESENT, /* was there when the recording began */
    EVENT_THREAD_BORN,
    EVENT_THREAD_NAMED,
    EVENT_THREAD_GONE,
    EVENT_THREAD_CPU_TIME, /* what the kernel has accounted to all threads of pid together */
};

enum event_image_change {
    EVENT_IMAGE_MAPPED,
    EVENT_IMAGE_UNMAPPED, /* [start_ip, end_ip) no longer holds what it held */
    EVENT_IMAGE_EXEC,     /* the whole address space is gone, other threads too */
    EVENT_IMAGE_FORKED,   /* pid starts with a copy of parent_pid's address space */
};

enum event_lost_cause {
    EVENT_LOST_RING_FULL,   /* the kernel found no room */
    EVENT_LOST_QUEUE_FULL,  /* the aggregator fell behind */
    EVENT_LOST_UNDECODABLE, /* a record that makes no sense */
    EVENT_LOST_THROTTLED,   /* the kernel held samples back */
    EVENT_LOST_CAUSE_N
};

/* How the user frames of a stack were found. */
enum event_stack_source {
    EVENT_STACK_FRAME_POINTERS, /* the kernel followed saved frame pointers: callers may be missing
                                 */
    EVENT_STACK_WALKED,         /* by unwind tables: every frame is one */
};

/* Why a stack ends where it ends. */
enum event_stack_end {
    EVENT_STACK_END_UNKNOWN,     /* nobody looked */
    EVENT_STACK_END_COMPLETE,    /* the thread's start was reached */
    EVENT_STACK_END_COPY,        /* the copied bytes ran out */
    EVENT_STACK_END_LIMIT,       /* LIMIT_STACK_IPS */
    EVENT_STACK_END_NO_CODE,     /* a return address where no code is mapped */
    EVENT_STACK_END_NO_TABLE,    /* code without unwind information or frame pointers */
    EVENT_STACK_END_UNSUPPORTED, /* unwind information that the tables cannot express */
    EVENT_STACK_END_MEMORY,      /* memory that could not be read, or had changed since */
    EVENT_STACK_END_REMAPPED,    /* code that had just taken the place of other code */
    EVENT_STACK_END_N
};

/* Registers and stack memory from which the walk of a user stack goes on. */
struct event_stack_copy {
    uint64_t ip, sp, fp;
    uint64_t lr;          /* aarch64: the link register; else 0 */
    const uint8_t *bytes; /* the target's memory from sp on; n_bytes may be 0 */
    uint32_t n_bytes;
    bool is_innermost;     /* ip is where the thread was; else it is a return address */
    bool is_after_syscall; /* ip was in a system call: it stands behind the instruction */
};

/*
 * A call stack: of a sample, of a wait (where the thread gave up the CPU), of
 * who woke somebody. n_ips 0: none.
 */
struct event_stack {
    const uint64_t *ips; /* innermost first: n_kernel_ips kernel ones, then user ones */
    uint32_t n_ips;
    uint32_t n_kernel_ips;
    uint8_t source, end;      /* enum event_stack_source, event_stack_end */
    bool is_truncated;        /* ips were cut at a limit */
    uint64_t code_generation; /* of the code_map that WALKED was done by; 0: unknown */
    /* Where the walk has to go on; NULL: there is nothing to add. */
    const struct event_stack_copy *copy;
};

#define EVENT_NO_SYSCALL UINT32_MAX

/* The system call that a thread waits in. */
struct event_wait_object {
    uint32_t syscall;  /* its number; EVENT_NO_SYSCALL: none (a page fault), or not told */
    uint64_t argument; /* its first */
};

/* What is mapped; file fields are zero for what has no file. */
struct event_image {
    enum event_image_change change;
    uint64_t start_ip, end_ip;
    uint64_t file_offset; /* of start_ip */
    const char *path;     /* as the kernel says it: "/usr/lib/…", "[vdso]", "//anon" */
    uint64_t inode;       /* 0: unknown */
    uint32_t device_major, device_minor;
    uint8_t build_id_bytes; /* 0: not told by the kernel */
    uint8_t build_id[LIMIT_BUILD_ID_BYTES];
    int64_t parent_pid; /* EVENT_IMAGE_FORKED only */
};

/*
 * Counters of a thread, read together. A group counts for one thread on some
 * CPUs; of the same thread and group each reading goes on from the one before,
 * and the first from 0.
 */
struct event_counters {
    uint64_t group;
    /*
     * How long the thread has run since the group was made, on whatever CPU, and
     * how much of that was counted: less where the group counts on other CPUs
     * only, or the counters were taken away from it (multiplexed) for a while.
     */
    uint64_t enabled_ns, running_ns;
    uint64_t slots; /* which values are set: bit 1 << enum counter_slot */
    uint64_t values[LIMIT_COUNTERS];
};

/*
 * What a program reports itself (stax/target.h), read from the memory that it
 * shares. Lanes and names have numbers that the run gives them, dense from 0
 * and 1 (name 0: none), and are told before they are used. These events have no
 * place in the order of the others: a span comes when it has ended, or much
 * later, and time_ns is how far the others had come when it was read.
 */
struct event_lane {
    uint32_t lane;
    uint8_t kind; /* enum lane_kind (model/lane.h) */
    const char *name;
};

struct event_span_name {
    uint32_t name;
    uint32_t parent; /* the name that it is inside of; smaller than `name`; 0: none */
    const char *text;
};

/* Where work was queued, or a wait began. tid 0: not told. */
struct event_origin {
    int64_t pid, tid;
    uint64_t time_ns;
};

struct event_span_counter {
    uint32_t name, unit; /* names; unit 0: none */
    double value;
};

struct event_span_attachment {
    uint32_t label; /* a name */
    uint32_t n_dimensions, dimensions[LIMIT_SPAN_DIMENSIONS];
    uint64_t size_bytes;
};

/* What few spans have. */
struct event_span_details {
    uint64_t queue_id, command_buffer_id, dispatch_id; /* 0: none */
    struct event_origin wait;                          /* tid 0: nobody has waited, or told */
    uint64_t wait_end_ns;
    struct event_origin completion;
    uint32_t source_file, source_function, source_line; /* names; 0: none */
    uint32_t n_counters, n_attachments;
    struct event_span_counter counters[LIMIT_SPAN_DETAILS];
    struct event_span_attachment attachments[LIMIT_SPAN_DETAILS];
};

struct event_span {
    uint32_t lane, name;
    uint64_t start_ns, end_ns; /* end_ns >= start_ns */
    struct event_origin origin;
    const struct event_span_details *details; /* NULL: none */
};

/* Why spans did not come. */
enum event_spans_lost_cause {
    EVENT_SPANS_LOST_TARGET_QUEUE, /* the program found no room in the ring */
    EVENT_SPANS_LOST_NO_SERVER,    /* the program's recording had ended before they did */
    EVENT_SPANS_LOST_BAD_DURATION, /* it ends before it begins */
    EVENT_SPANS_LOST_OUTSIDE_RUN,  /* it ended before the recording began, or lies in the future */
    EVENT_SPANS_LOST_MALFORMED,    /* a slot, lane or name that makes no sense */
    EVENT_SPANS_LOST_QUEUE_FULL,   /* the aggregator fell behind */
    EVENT_SPANS_LOST_CAUSE_N
};

#define EVENT_NO_WAKER INT64_C(0)         /* no thread: an interrupt, a timer */
#define EVENT_WAKER_UNKNOWN (-INT64_C(1)) /* nobody told */

/*
 * Stacks of waits and of wakers repeat. A serial (not 0) names one among those
 * of its thread: the event that brings it first has the stack, later ones have
 * the serial alone. Whoever has not met it, because that event was lost, knows
 * no stack.
 */
struct event {
    enum event_kind kind;
    uint16_t cpu;
    bool is_preempted; /* SWITCH_OUT: it still wanted to run */
    uint64_t time_ns;
    int64_t pid, tid; /* of the thread that the event is about */
    /*
     * SAMPLE; SWITCH_OUT: of the wait; WAIT_SEEN: the same, found later;
     * WAKEUP: of the waker; COUNTERS: where the thread was. SWITCH_IN: the kernel
     * frames of the wait that ends, where SWITCH_OUT told the user frames only.
     */
    struct event_stack stack;
    union {
        struct {
            uint32_t period_ns; /* CPU time between samples as the timer was set; 0 unknown */
        } sample;
        struct {
            uint64_t cpu_time_ns; /* the kernel's own total for the thread; 0 unknown */
            uint32_t stack_serial;
            struct event_wait_object object;
        } switch_out;
        struct {
            uint64_t wake_ns;      /* since when it wanted to run again; 0: not told */
            int64_t waker_tid;     /* 0: no thread (an interrupt, a timer), -1: not told */
            uint32_t waker_serial; /* among the stacks of wakeups by waker_tid; 0: none */
        } switch_in;
        /* The thread was found blocked, and where; nobody knows whether it was there all the
         * time since it was switched out. */
        struct {
            const char *site; /* the kernel's name of the place; NULL: not told */
            struct event_wait_object object;
        } wait_seen;
        struct {
            int64_t waker_tid;      /* as above */
            const char *waker_name; /* of a waker that is none of the target's; may be NULL */
            uint32_t waker_serial;
            /* tid was not asleep, so no SWITCH_IN will tell of this wakeup. */
            bool ends_no_wait;
        } wakeup;
        struct {
            enum event_thread_change change;
            const char *name;     /* NAMED, PRESENT; NULL where unknown */
            uint64_t cpu_time_ns; /* CPU_TIME only */
            int64_t creator_tid;  /* BORN only: who made it; 0: not told */
        } thread;
        const struct event_image *image;
        const struct event_counters *counters;
        struct {
            enum event_lost_cause cause;
            uint64_t count;
        } lost;
        struct event_lane lane; /* pid: whose */
        struct event_span_name span_name;
        const struct event_span *span; /* pid: who reports it; tid: its thread that did */
        struct {
            enum event_spans_lost_cause cause;
            uint64_t count;
        } spans_lost;
    };
};

/* The thread whose stack an event has. */
static inline int64_t event_stack_tid(const struct event *event)
{
    return event->kind == EVENT_WAKEUP ? event->wakeup.waker_tid : event->tid;
}
