/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * layout - the memory that a program and the server share for its spans
 *
 * Made by the program (a sealed memfd), mapped by both. Page 0 is the server's
 * to write, all else the program's; the server maps that read-only and treats
 * every word as hostile.
 *
 *     control page | state page | lanes | names | text | slots
 *
 * A slot is reserved by a compare-and-swap of `head`, filled, and published by
 * its `commit` word, which becomes its position + 1 (store-release). The
 * reader takes slots in order from `tail` as long as they are published, and
 * moves `tail` on. Where head - tail is n_slots the span is dropped. A span
 * with details takes 1 + n_details slots, reserved at once.
 *
 * Names and lanes are tables that only grow: an entry counts once `is_set` is
 * 1 (store-release), so that they need not be told again to the next server.
 *
 * Owner:   the program that made it; it goes when both have unmapped it.
 * Threads: any number of writers, one reader; words are atomic where this says release.
 * Source:  docs/PROTOCOL.target-ring.md
 * Tests:   layout_test.c
 */

#include <stdint.h>

#define TARGET_RING_MAGIC UINT64_C(0x0031525458415453) /* "STAXTR1" */
#define TARGET_RING_VERSION 1u
#define TARGET_RING_PAGE 4096u
#define TARGET_RING_SLOTS 131072u /* a power of two: 131 ms of a million spans/s */
#define TARGET_RING_LANES 1024u
#define TARGET_RING_NAMES 65536u
#define TARGET_RING_TEXT_BYTES (2u << 20)
#define TARGET_RING_NAME_BYTES 255u /* longest name */
#define TARGET_RING_DETAILS 15u

/* Of the spans that found no room in the tables: names[1] is "(other)", always set. Ids begin at 1.
 */
#define TARGET_RING_NAME_NONE 0u
#define TARGET_RING_NAME_OTHER 1u
#define TARGET_RING_LANE_NONE 0u

/* Page 0: the server writes, the program reads. */
struct target_ring_control {
    uint32_t active; /* not 0: this process is recorded; the gate */
    uint32_t unused[15];
    uint64_t tail;    /* slots taken so far */
    uint64_t n_taken; /* spans of them that were read, not skipped; of all servers together */
    uint64_t unused_tail[6];
    uint8_t rest[TARGET_RING_PAGE - 128];
};

/* Page 1: the program writes. Offsets count from the begin of the memory. */
struct target_ring_state {
    uint64_t magic;
    uint32_t version, slot_bytes;
    uint32_t n_slots, n_lanes_max, n_names_max, text_bytes;
    uint32_t lanes_offset, names_offset, text_offset, slots_offset;
    uint64_t total_bytes;
    uint32_t pid, unused;
    /* Counts that only grow. */
    uint64_t n_dropped_full __attribute__((aligned(64)));
    uint64_t n_dropped_no_server, n_names_refused, n_lanes_refused, n_details_refused, n_queued;
    /* The highest id in use; bytes of text in use. */
    uint32_t n_lanes, n_names, n_text_bytes, unused_counts;
    uint64_t head __attribute__((aligned(64))); /* slots reserved so far */
    uint8_t rest[TARGET_RING_PAGE - 136];
} __attribute__((aligned(64)));

struct target_ring_lane {
    uint32_t is_set;
    uint32_t kind; /* enum stax_lane_kind */
    uint32_t name;
    uint32_t unused;
};

struct target_ring_name {
    uint32_t is_set;
    uint32_t parent;      /* the name it is inside of; smaller than its own id; 0: none */
    uint32_t text_offset; /* in the text; not ended by 0 */
    uint32_t n_bytes;
};

struct target_ring_origin {
    uint64_t time_ns;
    uint32_t tid, pid;
};

enum target_ring_slot_kind {
    TARGET_RING_SPAN = 1,
    /* Details: in the slots behind their span. */
    TARGET_RING_IDS,
    TARGET_RING_WAIT,
    TARGET_RING_COMPLETION,
    TARGET_RING_SOURCE,
    TARGET_RING_COUNTER,
    TARGET_RING_ATTACHMENT,
    TARGET_RING_PADDING /* taken and meaningless */
};

/* 64 bytes; a cache line. */
struct target_ring_slot {
    uint64_t commit;    /* its position + 1 once it is written */
    uint16_t kind;      /* enum target_ring_slot_kind */
    uint16_t n_details; /* SPAN: slots that follow it and belong to it */
    uint32_t name;      /* SPAN, COUNTER, ATTACHMENT (label), SOURCE (file); 0: none */
    union {
        struct {
            uint32_t lane, reporter_tid;
            uint64_t start_ns, end_ns;
            struct target_ring_origin origin;
        } span;
        struct {
            uint64_t queue_id, command_buffer_id, dispatch_id;
        } ids;
        struct {
            struct target_ring_origin begin;
            uint64_t end_ns;
        } wait;
        struct target_ring_origin completion;
        struct {
            uint32_t function, line; /* function: a name */
        } source;
        struct {
            double value;
            uint32_t unit; /* a name */
        } counter;
        struct {
            uint64_t size_bytes;
            uint32_t n_dimensions, dimensions[4];
        } attachment;
        uint64_t words[6];
    };
};

#define TARGET_RING_LANES_OFFSET (2u * TARGET_RING_PAGE)
#define TARGET_RING_NAMES_OFFSET                                                                   \
    (TARGET_RING_LANES_OFFSET + TARGET_RING_LANES * (uint32_t)sizeof(struct target_ring_lane))
#define TARGET_RING_TEXT_OFFSET                                                                    \
    (TARGET_RING_NAMES_OFFSET + TARGET_RING_NAMES * (uint32_t)sizeof(struct target_ring_name))
#define TARGET_RING_SLOTS_OFFSET (TARGET_RING_TEXT_OFFSET + TARGET_RING_TEXT_BYTES)
#define TARGET_RING_BYTES                                                                          \
    (TARGET_RING_SLOTS_OFFSET + TARGET_RING_SLOTS * (uint32_t)sizeof(struct target_ring_slot))

_Static_assert(sizeof(struct target_ring_slot) == 64, "a slot is a cache line");
_Static_assert(sizeof(struct target_ring_control) == TARGET_RING_PAGE, "the control page");
_Static_assert(sizeof(struct target_ring_state) == TARGET_RING_PAGE, "the state page");
_Static_assert(TARGET_RING_TEXT_OFFSET % TARGET_RING_PAGE == 0, "text begins a page");
_Static_assert(TARGET_RING_SLOTS_OFFSET % TARGET_RING_PAGE == 0, "slots begin a page");

/* Both sides may be built by different compilers, at different times. */
#define AT(type, member, offset)                                                                   \
    _Static_assert(__builtin_offsetof(struct type, member) == (offset), #member)
AT(target_ring_control, active, 0);
AT(target_ring_control, tail, 64);
AT(target_ring_control, n_taken, 72);
AT(target_ring_state, magic, 0);
AT(target_ring_state, version, 8);
AT(target_ring_state, slot_bytes, 12);
AT(target_ring_state, n_slots, 16);
AT(target_ring_state, n_lanes_max, 20);
AT(target_ring_state, n_names_max, 24);
AT(target_ring_state, text_bytes, 28);
AT(target_ring_state, lanes_offset, 32);
AT(target_ring_state, names_offset, 36);
AT(target_ring_state, text_offset, 40);
AT(target_ring_state, slots_offset, 44);
AT(target_ring_state, total_bytes, 48);
AT(target_ring_state, pid, 56);
AT(target_ring_state, n_dropped_full, 64);
AT(target_ring_state, n_dropped_no_server, 72);
AT(target_ring_state, n_names_refused, 80);
AT(target_ring_state, n_lanes_refused, 88);
AT(target_ring_state, n_details_refused, 96);
AT(target_ring_state, n_queued, 104);
AT(target_ring_state, n_lanes, 112);
AT(target_ring_state, n_names, 116);
AT(target_ring_state, n_text_bytes, 120);
AT(target_ring_state, head, 128);
AT(target_ring_lane, is_set, 0);
AT(target_ring_lane, kind, 4);
AT(target_ring_lane, name, 8);
AT(target_ring_name, is_set, 0);
AT(target_ring_name, parent, 4);
AT(target_ring_name, text_offset, 8);
AT(target_ring_name, n_bytes, 12);
AT(target_ring_origin, time_ns, 0);
AT(target_ring_origin, tid, 8);
AT(target_ring_origin, pid, 12);
AT(target_ring_slot, commit, 0);
AT(target_ring_slot, kind, 8);
AT(target_ring_slot, n_details, 10);
AT(target_ring_slot, name, 12);
AT(target_ring_slot, span.lane, 16);
AT(target_ring_slot, span.reporter_tid, 20);
AT(target_ring_slot, span.start_ns, 24);
AT(target_ring_slot, span.end_ns, 32);
AT(target_ring_slot, span.origin, 40);
AT(target_ring_slot, ids.queue_id, 16);
AT(target_ring_slot, ids.command_buffer_id, 24);
AT(target_ring_slot, ids.dispatch_id, 32);
AT(target_ring_slot, wait.begin, 16);
AT(target_ring_slot, wait.end_ns, 32);
AT(target_ring_slot, completion, 16);
AT(target_ring_slot, source.function, 16);
AT(target_ring_slot, source.line, 20);
AT(target_ring_slot, counter.value, 16);
AT(target_ring_slot, counter.unit, 24);
AT(target_ring_slot, attachment.size_bytes, 16);
AT(target_ring_slot, attachment.n_dimensions, 24);
AT(target_ring_slot, attachment.dimensions, 28);
AT(target_ring_slot, words, 16);
_Static_assert(sizeof(struct target_ring_lane) == 16, "a lane");
_Static_assert(sizeof(struct target_ring_name) == 16, "a name");
_Static_assert(sizeof(struct target_ring_origin) == 16, "an origin");
#undef AT
