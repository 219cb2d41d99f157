/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * bpf_ring - the memory that a program in the kernel writes records into
 *
 * Cheaper for who writes than the ring of a perf event: 0.1 µs per record
 * instead of 0.5.
 *
 * Shape:   bpf_ring_next() until NULL (each record contiguous and borrowed
 *          until bpf_ring_end()), which gives what was read back to the kernel.
 * Owner:   the caller's memory; bpf_ring_release() unmaps. The descriptor of
 *          the map is borrowed, for bpf_ring_open() only.
 * Threads: one reader.
 * Source:  Documentation/bpf/ringbuf.rst of Linux 6.18.
 * Tests:   bpf_ring_test.c
 */

#include <stddef.h>
#include <stdint.h>

struct bpf_ring {
    uint64_t *consumer;       /* a page: how far it was read */
    const uint64_t *producer; /* a page, then the data, twice in a row */
    const uint8_t *data;
    size_t data_bytes;   /* a power of two */
    uint64_t head, tail; /* of this round */
    uint64_t fill_max_bytes;
};

/* fd: a map of BPF_MAP_TYPE_RINGBUF with data_bytes. A negative errno. */
int bpf_ring_open(int fd, size_t data_bytes, struct bpf_ring *ret_ring);
void bpf_ring_release(struct bpf_ring *ring); /* zeros are no ring */

void bpf_ring_begin(struct bpf_ring *ring);
/* NULL when everything of this round was read, up to a record that is being written. */
const void *bpf_ring_next(struct bpf_ring *ring, size_t *ret_n_bytes);
void bpf_ring_end(struct bpf_ring *ring);
