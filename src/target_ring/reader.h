/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * reader - the server's side of the shared ring: takes spans, trusts nothing
 *
 * Whatever lies in the memory, and whatever becomes of it while it is looked
 * at: a slot, a name, a lane is copied out first and checked then, positions
 * are the reader's own, and no call does more than it was allowed. A slot that
 * is reserved and never published (its writer was killed in between) is waited
 * for TARGET_RING_PATIENCE_NS while later ones are there, then passed over.
 *
 * Owner:   target_ring_reader_new()/_free(); the descriptor stays the caller's.
 * Threads: one at a time; handing it to another needs a lock of the caller's.
 *          Detaching: any, at any time.
 * Limits:  TARGET_RING_SLOTS slots behind the tail; target_ring_poll.n_slots for each call.
 * Source:  docs/PROTOCOL.target-ring.md
 * Tests:   reader_test.c; tests/fuzz/fuzz_target_ring.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target_ring/layout.h"

#define TARGET_RING_PATIENCE_NS UINT64_C(1000000000)

/* Why a descriptor is no ring. */
enum target_ring_refusal {
    TARGET_RING_ACCEPTED,
    TARGET_RING_NO_MEMFD,
    TARGET_RING_NOT_SEALED,
    TARGET_RING_WRONG_SIZE,
    TARGET_RING_WRONG_MAGIC,
    TARGET_RING_WRONG_VERSION,
    TARGET_RING_WRONG_LAYOUT,
    TARGET_RING_NOT_MAPPED,
    TARGET_RING_REFUSAL_N
};

struct target_ring_reader;

/* Checks and maps it. ret_reader is set with ACCEPTED only. */
enum target_ring_refusal target_ring_reader_new(int fd, struct target_ring_reader **ret_reader);
struct target_ring_reader *target_ring_reader_free(struct target_ring_reader *reader);

/* "the memory is not sealed: …" */
const char *target_ring_refusal_text(enum target_ring_refusal refusal);

/* The file that the memory is: two descriptors of the same one are told by it. */
struct target_ring_identity {
    uint64_t device, inode;
};
struct target_ring_identity target_ring_reader_identity(const struct target_ring_reader *reader);

/* What the program has said that its pid is; in a pid namespace that is another than ours. */
uint32_t target_ring_reader_pid(const struct target_ring_reader *reader);

/*
 * Somebody else reads this memory from here on: what lay in the ring until now may still be taken,
 * nothing is written to the control page any more.
 */
void target_ring_reader_detach(struct target_ring_reader *reader);

/* Opens and closes the gate of the program. */
void target_ring_reader_set_active(struct target_ring_reader *reader, bool is_active);

/* Passes over all that lies in the ring. */
void target_ring_reader_skip(struct target_ring_reader *reader);

/* One round of reading. */
struct target_ring_poll {
    uint64_t now_ns;
    bool is_last;     /* nothing more is written: slots that are not published never will be */
    uint32_t n_slots; /* so many may still be looked at; counts down */
};

struct target_ring_record {
    struct target_ring_slot span;
    uint32_t n_details;
    struct target_ring_slot details[TARGET_RING_DETAILS];
};

/* The next span, with its details; false: there is none now, or n_slots came to 0. */
bool target_ring_reader_take(struct target_ring_reader *reader, struct target_ring_poll *poll,
                             struct target_ring_record *ret_record);

/* The last target_ring_reader_take() has come to a slot that is reserved and not published yet. */
bool target_ring_reader_is_waiting(const struct target_ring_reader *reader);

/* Tells the program how far the reader is: what was taken is free again. */
void target_ring_reader_release(struct target_ring_reader *reader);

/* Spans that lie in the ring and were not taken. At most as many as fit. */
uint64_t target_ring_reader_count_left(const struct target_ring_reader *reader);

/* Slots that made no sense so far. */
uint64_t target_ring_reader_malformed(const struct target_ring_reader *reader);

/* What the program says of itself; anything. */
struct target_ring_counts {
    uint64_t n_dropped_full, n_dropped_no_server;
    uint64_t n_names_refused, n_lanes_refused, n_details_refused;
};
void target_ring_reader_counts(const struct target_ring_reader *reader,
                               struct target_ring_counts *ret_counts);

/* Well-formed UTF-8 without control characters: what is neither is '?'. */
struct target_ring_text {
    uint32_t parent; /* of a name; smaller than its id */
    uint32_t kind;   /* of a lane; anything */
    size_t n_bytes;
    char text[TARGET_RING_NAME_BYTES + 1];
};

/* False: there is no such name, or it makes no sense. */
bool target_ring_reader_name(const struct target_ring_reader *reader, uint32_t id,
                             struct target_ring_text *ret_text);
bool target_ring_reader_lane(const struct target_ring_reader *reader, uint32_t id,
                             struct target_ring_text *ret_text);

/* The parent alone, without looking at the text: smaller than `id`. False: as above. */
bool target_ring_reader_parent(const struct target_ring_reader *reader, uint32_t id,
                               uint32_t *ret_parent);
