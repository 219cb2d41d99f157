/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * history_tables - how the records of a run lie in an archive
 *
 * Shape:   one struct per kind of record, as its columns hold it: what is large
 *          is told as the difference to something near. Ids of columns and keys
 *          are for ever; a field that is not there is 0.
 * Owner, Threads: constants.
 * Source:  docs/design/0015-archive.md
 * Tests:   run_history_test.c
 */

#include "aggregate/snapshot.h"
#include "archive/column.h"

enum history_kind {
    HISTORY_RUN,
    HISTORY_NAMES,
    HISTORY_IMAGES,
    HISTORY_CODE_EPOCHS,
    HISTORY_PLACES,
    HISTORY_FRAMES,
    HISTORY_STACKS,
    HISTORY_OUTSIDERS,
    HISTORY_WAIT_OBJECTS,
    HISTORY_THREADS,
    HISTORY_PAIRS,
    HISTORY_CLASSES,
    HISTORY_WAIT_SUMS,
    HISTORY_WAKE_SUMS,
    HISTORY_COUNTER_SUMS,
    HISTORY_COUNTER_TIMES,
    HISTORY_SPAN_NAMES,
    HISTORY_LANES,
    HISTORY_SPAN_SUMS,
    HISTORY_SPAN_BUCKETS,
    HISTORY_ORIGIN_SUMS,
    HISTORY_SPAN_WAIT_SUMS,
    HISTORY_SAMPLES,
    HISTORY_SLICES,
    HISTORY_WAITS,
    HISTORY_READINGS,
    HISTORY_SPAN_COUNTERS,
    HISTORY_SPAN_ATTACHMENTS,
    HISTORY_SPAN_DETAILS,
    HISTORY_LONGEST_SPANS,
    HISTORY_SPANS,
    HISTORY_KIND_N
};

struct history_table {
    const char *member; /* "records/samples" */
    struct column_table columns;
};

const struct history_table *history_table(enum history_kind kind);

/* The largest row of all. */
#define HISTORY_ROW_BYTES 192

/* ---- records/run: one value a row ---- */

enum history_key {
    HISTORY_KEY_SEQUENCE = 1,
    HISTORY_KEY_START_NS = 2,
    HISTORY_KEY_NOW_NS = 3,
    HISTORY_KEY_FOLDED_UNTIL_NS = 4,
    HISTORY_KEY_FIRST_SAMPLE = 5,
    HISTORY_KEY_FIRST_SLICE = 6,
    HISTORY_KEY_FIRST_WAIT = 7,
    HISTORY_KEY_FIRST_READING = 8,
    HISTORY_KEY_N_KERNEL_SAMPLES = 9,
    HISTORY_KEY_N_WAIT_STACKS_UNKNOWN = 10,
    HISTORY_KEY_N_WAIT_DETAILS_FULL = 11,
    HISTORY_KEY_N_READINGS_DROPPED = 12,
    HISTORY_KEY_N_WAKEUPS = 13,
    HISTORY_KEY_N_STACKS_TRUNCATED = 14,
    HISTORY_KEY_N_STACKS_EMPTY = 15,
    HISTORY_KEY_N_MISSED_SWITCHES = 16,
    HISTORY_KEY_SWITCH_LAG_NS = 17,
    HISTORY_KEY_HAS_NO_SWITCHES = 18,
    HISTORY_KEY_FIRST_SPAN = 19,
    HISTORY_KEY_SPANS_FOLDED_UNTIL_NS = 20,
    HISTORY_KEY_ORIGIN_BOUND_NS = 21,
    HISTORY_KEY_LINKED_N = 22,
    HISTORY_KEY_LINKED_MIN_NS = 23,
    HISTORY_KEY_LINKED_MAX_NS = 24,
    HISTORY_KEY_LINKED_SUM_NS = 25,
    HISTORY_KEY_TOO_FAR_N = 26,
    HISTORY_KEY_TOO_FAR_MIN_NS = 27,
    HISTORY_KEY_TOO_FAR_MAX_NS = 28,
    HISTORY_KEY_TOO_FAR_SUM_NS = 29,
    HISTORY_KEY_N_SPAN_DETAILS_FULL = 30,
    HISTORY_KEY_ROWS = 0x100,       /* + column_table.kind: how many there are */
    HISTORY_KEY_LOST = 0x200,       /* + enum event_lost_cause */
    HISTORY_KEY_SPANS_LOST = 0x300, /* + enum event_spans_lost_cause */
};

struct history_value {
    uint16_t key;
    uint64_t value;
};

/* ---- records/names: each with its NUL; number 0 is the empty one ---- */

struct history_name_byte {
    uint8_t byte;
};

/* ---- tables; their ids are the numbers of the rows ---- */

struct history_image {
    uint32_t path; /* number of a name */
    uint8_t kind, build_id_bytes;
    uint64_t inode, pid, start_ip, end_ip, start_offset;
    uint32_t device_major, device_minor;
    uint64_t build_id_0, build_id_8;
    uint32_t build_id_16;
};

/* From 1 on: 0 is none. */
struct history_code_epoch {
    uint64_t pid, from_ns, to_ns;
};

struct history_place {
    uint32_t name;
};

struct history_frame {
    uint32_t image, code_epoch;
    uint64_t offset;
};

/* From 1 on: 0 is the root. */
struct history_stack {
    uint32_t back; /* to the parent's number; 1: the one before */
    uint8_t rank;  /* of the frame behind its parent's, see history_callees.h */
    uint32_t away;
};

struct history_outsider {
    uint64_t tid;
    uint32_t name;
};

/* From 1 on: 0 is none. */
struct history_wait_object {
    uint64_t pid, argument;
    uint32_t syscall;
};

struct history_thread {
    uint64_t pid, tid, creator_tid;
    uint32_t name;
    uint8_t phase, wait_flags;
    uint64_t start_ns, end_ns, phase_since_ns;
    uint64_t waited_ns; /* before phase_since_ns */
    uint64_t cpu_ns, blocked_ns, runnable_ns;
    uint64_t n_samples, n_voluntary, n_involuntary, period_ns;
    uint32_t wait_stack, wait_object;
};

/* ---- sums over the whole run ---- */

/* Where nothing has been forgotten, pairs meet stacks in the order of their numbers, too. */
struct history_pair {
    uint32_t thread, count;
    uint32_t highest; /* number of a stack so far */
    uint32_t back;    /* from there to the pair's */
    uint8_t slice_class;
};

struct history_class {
    uint8_t slice_class;
    uint64_t ns, n_slices, n_samples, met_ns;
};

struct history_wait_sums {
    uint32_t thread, stack;
    uint8_t flags;
    uint64_t n_waits, blocked_ns, runnable_ns, max_blocked_ns;
};

struct history_wake_sums {
    uint32_t waker; /* as in waits */
    uint32_t wakee, waker_stack;
    uint64_t n_wakeups, blocked_ns, runnable_ns;
};

struct history_counter_sums {
    uint32_t thread, stack;
    uint64_t n_readings, value_0, value_1, value_2, value_3;
};

struct history_counter_time {
    uint64_t enabled_ns, running_ns, tail_ns, longest_ns;
};

/* ---- what the target reported itself: tables and sums ---- */

/* From 1 on: 0 is none. */
struct history_span_name {
    uint32_t parent, text;
};

struct history_lane {
    uint64_t pid;
    uint32_t name;
    uint8_t kind;
    uint64_t n_spans, total_ns, first_ns, last_ns;
    /* By enum origin_state. */
    uint64_t state_0, state_1, state_2, state_3, state_4, state_5, state_6, state_7, state_8,
        state_9;
};

struct history_span_sums {
    uint32_t lane, name;
    uint64_t n_spans, total_ns, min_ns, max_ns, n_waited, waited_ns, length_ns;
};

struct history_span_bucket {
    uint32_t sums; /* number of the row of sums */
    uint64_t number;
    uint64_t n_spans;
};

struct history_origin_sums {
    uint32_t lane, name, thread, stack;
    uint8_t state;
    uint64_t n_spans, total_ns;
};

struct history_span_wait_sums {
    uint32_t lane, name, thread, stack;
    uint64_t n_waits, waited_ns;
};

/* ---- records, in the order of their (last) times ---- */

/* Thread, stack and length of the slice are those of a pair; in a run that has forgotten nothing
 * samples meet pairs in the order of their numbers. */
struct history_sample {
    uint64_t time_ns;
    uint32_t first_next; /* the same in all rows of a frame: `next` where it begins */
    uint32_t back; /* to the pair's number from `next`, one more than the highest so far; wraps */
    uint32_t period_ns;
    uint16_t cpu;
};

struct history_slice {
    uint64_t end_ns, length_ns;
    uint32_t thread;
    uint16_t cpu;
    uint8_t gaps; /* before | after << 4 */
};

/* How wakers are told: so that the usual ones are small numbers. */
#define HISTORY_WAKER_UNKNOWN 0u
#define HISTORY_WAKER_NONE 1u
#define HISTORY_WAKER_THREAD 2u   /* + 2 × thread_id */
#define HISTORY_WAKER_OUTSIDER 3u /* + 2 × number of the outsider */

/* One that is a gap between slices is told by which it is (history_gaps.h): its end_ns is that of
 * the row before, and blocked_ns 0. */
struct history_wait {
    uint64_t end_ns, blocked_ns, runnable_ns;
    uint8_t gap; /* 0: none */
    uint32_t thread, stack;
    uint32_t waker; /* HISTORY_WAKER_… */
    uint32_t waker_stack, object;
    uint8_t flags;
};

struct history_reading {
    uint64_t time_ns;
    uint32_t thread, stack, enabled_ns, running_ns;
    uint64_t value_0, value_1, value_2, value_3;
};

/* Those of a span's details stand behind those of the details before; likewise attachments. */
struct history_span_counter {
    uint32_t name, unit;
    uint64_t value; /* as the bits of a double */
};

struct history_span_attachment {
    uint32_t label, size_0, size_1, size_2, size_3;
    uint8_t n_dimensions;
    uint64_t size_bytes;
};

struct history_span_details {
    uint64_t queue_id, command_buffer_id, dispatch_id;
    uint64_t wait_pid, wait_tid, wait_ns, wait_length_ns;
    uint64_t completion_pid, completion_tid, completion_ns;
    uint32_t source_file, source_function, source_line;
    uint8_t n_counters, n_attachments;
};

struct history_span {
    uint64_t end_ns, length_ns;
    uint64_t queued_ns; /* from the origin to the start; wraps where it is after that */
    uint64_t origin_tid;
    uint32_t lane, name, origin_thread, origin_stack;
    uint64_t distance_ns;
    uint32_t details; /* 0: none; number of the row of details + 1 */
    uint8_t state;
    uint8_t has_origin;
};

static inline uint32_t history_waker_of(waker_id waker)
{
    if (waker == WAKER_ID_UNKNOWN || waker == WAKER_ID_NONE) {
        return waker == WAKER_ID_UNKNOWN ? HISTORY_WAKER_UNKNOWN : HISTORY_WAKER_NONE;
    }
    return waker >= WAKER_ID_OUTSIDER ? HISTORY_WAKER_OUTSIDER + 2 * (waker & ~WAKER_ID_OUTSIDER)
                                      : HISTORY_WAKER_THREAD + 2 * waker;
}

static inline waker_id history_waker_id(uint32_t told)
{
    if (told < HISTORY_WAKER_THREAD) {
        return told == HISTORY_WAKER_UNKNOWN ? WAKER_ID_UNKNOWN : WAKER_ID_NONE;
    }
    uint32_t number = (told - HISTORY_WAKER_THREAD) / 2;
    return told % 2 == 0 ? number : WAKER_ID_OUTSIDER | number;
}
