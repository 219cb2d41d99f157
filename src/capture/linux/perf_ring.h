/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * perf_ring - the memory that the kernel writes records into
 *
 * Shape:   perf_ring_begin(), perf_ring_next() until NULL (each record
 *          contiguous and borrowed until the next call), perf_ring_end() gives
 *          what was read back to the kernel.
 * Owner:   the caller's memory; perf_ring_release() unmaps. The descriptor is
 *          borrowed and must outlive the mapping's use.
 * Threads: one reader.
 * Source:  perf_event_open(2), section "MMAP layout".
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct perf_ring {
    void *mapping;
    size_t mapping_bytes;
    const uint8_t *data;
    size_t data_bytes;   /* a power of two */
    uint64_t head, tail; /* of this round */
    uint64_t fill_max_bytes;
    uint8_t *scratch; /* for a record that wraps around the end */
};

/* data_bytes must be a power of two of whole pages. -EPERM: past the mlock allowance. */
int perf_ring_open(int fd, size_t data_bytes, struct perf_ring *ret_ring);
void perf_ring_release(struct perf_ring *ring);

void perf_ring_begin(struct perf_ring *ring);
/* NULL when everything of this round was read. A corrupt length ends the round and skips to its
 * end: ret_is_corrupt. */
const void *perf_ring_next(struct perf_ring *ring, size_t *ret_n_bytes, bool *ret_is_corrupt);
void perf_ring_end(struct perf_ring *ring);
