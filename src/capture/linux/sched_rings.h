/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * sched_rings - what a sched_watch tells, read
 *
 * Owner:   the caller's memory; zeros are no rings. Descriptors are borrowed
 *          and must outlive it.
 * Threads: one.
 * Tests:   sched_rings_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/linux/bpf_ring.h"
#include "capture/linux/outsiders.h"
#include "decode/perf_events.h"

struct sched_rings {
    struct bpf_ring *rings; /* by CPU */
    int *fds;               /* of them, borrowed: readable when a ring is filling up */
    uint32_t n_rings;
    const uint64_t *n_lost; /* by CPU: shared with the programs */
    uint64_t n_lost_told;
    struct outsiders outsiders;
    uint64_t n_records, n_bytes, n_undecodable;
};

struct sched_rings_fds {
    const int *ring_fds; /* by CPU */
    uint32_t n_rings;
    size_t ring_bytes;
    int lost_fd;
};

/* 0, or a negative errno and nothing to release. */
int sched_rings_open(const struct sched_rings_fds *fds, struct sched_rings *ret_rings);
void sched_rings_release(struct sched_rings *rings);

/* Reads one ring into the batch as far as there is room; the time up to which everything in it has
 * been read: read_at_ns when that is all. */
uint64_t sched_rings_read(struct sched_rings *rings, uint32_t cpu,
                          struct perf_translator *translator, struct event_batch *batch,
                          uint64_t read_at_ns);

/* How many records have found no room since this was asked last. */
uint64_t sched_rings_take_lost(struct sched_rings *rings);
