/* SPDX-License-Identifier: MIT */
#include "capture/linux/bpf_ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

int bpf_ring_open(int fd, size_t data_bytes, struct bpf_ring *ret_ring)
{
    void *consumer = mmap(NULL, page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (consumer == MAP_FAILED) {
        return -errno;
    }
    void *producer =
        mmap(NULL, page_bytes() + 2 * data_bytes, PROT_READ, MAP_SHARED, fd, (off_t)page_bytes());
    if (producer == MAP_FAILED) {
        int r = -errno;
        munmap(consumer, page_bytes());
        return r;
    }
    *ret_ring = (struct bpf_ring){
        .consumer = consumer,
        .producer = producer,
        .data = (const uint8_t *)producer + page_bytes(),
        .data_bytes = data_bytes,
    };
    return 0;
}

void bpf_ring_release(struct bpf_ring *ring)
{
    if (ring->consumer) {
        munmap(ring->consumer, page_bytes());
        munmap((void *)(uintptr_t)ring->producer, page_bytes() + 2 * ring->data_bytes);
    }
    *ring = (struct bpf_ring){0};
}

void bpf_ring_begin(struct bpf_ring *ring)
{
    ring->head = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
    ring->tail = *ring->consumer;
    uint64_t fill_bytes = ring->head - ring->tail;
    if (fill_bytes > ring->fill_max_bytes) {
        ring->fill_max_bytes = fill_bytes;
    }
}

const void *bpf_ring_next(struct bpf_ring *ring, size_t *ret_n_bytes)
{
    while (ring->tail < ring->head) {
        const uint8_t *record = ring->data + (ring->tail & (ring->data_bytes - 1));
        uint32_t length = __atomic_load_n((const uint32_t *)(const void *)record, __ATOMIC_ACQUIRE);
        if (length & BPF_RINGBUF_BUSY_BIT) {
            return NULL;
        }
        size_t n_bytes = length & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
        size_t taken_bytes = (n_bytes + BPF_RINGBUF_HDR_SZ + 7) & ~(size_t)7;
        if (taken_bytes > ring->head - ring->tail) {
            ring->tail = ring->head; /* nothing that a kernel writes */
            return NULL;
        }
        ring->tail += taken_bytes;
        if (!(length & BPF_RINGBUF_DISCARD_BIT)) {
            *ret_n_bytes = n_bytes;
            return record + BPF_RINGBUF_HDR_SZ;
        }
    }
    return NULL;
}

void bpf_ring_end(struct bpf_ring *ring)
{
    __atomic_store_n(ring->consumer, ring->tail, __ATOMIC_RELEASE);
}
