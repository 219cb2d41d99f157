/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * target_producer - the programs that are connected to report spans
 *
 * A program is known from its target.hello until its connection ends. What it
 * has left in its ring then is still read by the run that records it: a run
 * holds a reference, and has the reader to itself from claim to unclaim.
 *
 * Owner:   a producer is counted: target_producer_ref(), _unref(). The list
 *          holds one reference for each connection.
 * Threads: the list: the main loop, its figures any. A producer: any; its
 *          reader: whoever has claimed it.
 * Limits:  TARGET_PRODUCERS_MAX, fewer than connections, so that people can
 *          always ask.
 * Tests:   target_producer_test.c
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "rpc/service.h"
#include "target_ring/reader.h"

#define TARGET_PRODUCERS_MAX 192u

struct connection;

struct target_producer {
    int64_t pid; /* as the kernel says it */
    struct target_ring_reader *reader;
    atomic_uint n_refs;
    atomic_bool is_claimed;
    atomic_bool is_gone; /* its connection has ended, or it has another: nothing more comes */
};

/* Takes over the reader. NULL when memory ran out; then the reader is gone, too. */
struct target_producer *target_producer_new(int64_t pid, struct target_ring_reader *take_reader);
struct target_producer *target_producer_ref(struct target_producer *producer);
struct target_producer *target_producer_unref(struct target_producer *producer);

/* The reader is the caller's until it gives it back; false: it is somebody else's. */
bool target_producer_claim(struct target_producer *producer);
void target_producer_unclaim(struct target_producer *producer);

enum target_refusal {
    TARGET_REFUSED_VERSION, /* none that both speak */
    TARGET_REFUSED_MEMORY,  /* it is not as it must be */
    TARGET_REFUSED_LIMIT,
    TARGET_REFUSED_REPEATED, /* a second hello on a connection */
    TARGET_REFUSAL_N
};

/* Counters only grow, but for n_now. */
struct target_producer_stats {
    uint64_t n_now, n_ever;
    uint64_t n_refused[TARGET_REFUSAL_N];
};

struct target_producers {
    size_t n_entries;
    struct target_producers_entry {
        const struct connection *connection;
        struct target_producer *producer;
    } entries[TARGET_PRODUCERS_MAX];
    atomic_uint_fast64_t n_now, n_ever, n_refused[TARGET_REFUSAL_N];
};

void target_producers_init(struct target_producers *producers);

/* Forgets all; those that a run has claimed live on until it gives them back. */
void target_producers_release(struct target_producers *producers);

/*
 * A program says hello on this connection with the memory `fd` (borrowed; -1: none came). Memory
 * has one reader: an older connection that came with the same has ended by this.
 * Returns 0 and the producer, borrowed, or a negative errno.
 */
int target_producers_add(struct target_producers *producers, const struct connection *connection,
                         int64_t pid, const struct target_hello_request *request, int fd,
                         struct target_producer **ret_producer, struct error *reterr_error);

/* The connection has ended. Those that have said no hello are none of ours. */
void target_producers_remove(struct target_producers *producers,
                             const struct connection *connection);

void target_producers_stats(struct target_producers *producers,
                            struct target_producer_stats *ret_stats);
