/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * pending_samples - samples whose slice has not ended yet
 *
 * The class of a sample's slice is known when the thread leaves the CPU, but
 * samples are stored in the order of their times. They wait here, all threads
 * in one queue, until the class of the oldest is known: at its thread's
 * switch-out, or after SLICE_LONG_NS, when its slice can only be a long one.
 *
 * Shape:   a ring; the samples of one open slice are chained from the newest
 *          to the oldest by ticket.
 * Owner:   the caller's memory; pending_samples_release() frees the ring.
 * Threads: one.
 * Limits:  PENDING_SAMPLES_MAX; then the oldest has to go, as a sample of a
 *          long slice.
 * Tests:   pending_samples_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregate/snapshot.h"

#define PENDING_SAMPLES_MAX (1u << 16)

/* Names a sample in the queue; 0 names none. */
typedef uint64_t pending_ticket;

struct pending_sample;

struct pending_samples {
    struct pending_sample *items;
    size_t capacity;     /* 0 or a power of two */
    uint64_t first, end; /* running numbers of the oldest sample and of the next one */
};

void pending_samples_release(struct pending_samples *pending);

/* -ENOSPC: full, and it cannot grow: take one out by force. `before` is the newest ticket of the
 * same open slice. */
int pending_samples_add(struct pending_samples *pending, const struct stored_sample *sample,
                        pending_ticket before, pending_ticket *ret_ticket);

/* The slice that these samples fell into has ended. */
void pending_samples_settle(struct pending_samples *pending, pending_ticket newest,
                            uint8_t slice_class);

/* Takes out the oldest sample if its class is known at now_ns, or anyway. */
bool pending_samples_take(struct pending_samples *pending, uint64_t now_ns, bool is_forced,
                          struct stored_sample *ret_sample);

static inline size_t pending_samples_count(const struct pending_samples *pending)
{
    return (size_t)(pending->end - pending->first);
}

/* Copies all of them out, oldest first; those of open slices as of long ones. */
void pending_samples_copy(const struct pending_samples *pending, struct stored_sample *ret_samples);
size_t pending_samples_memory_bytes(const struct pending_samples *pending);
