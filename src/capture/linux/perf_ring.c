/* SPDX-License-Identifier: MIT */
#include "capture/linux/perf_ring.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A record's size is 16 bits. */
#define RECORD_MAX_BYTES (1u << 16)
#define HEADER_BYTES sizeof(struct perf_event_header)

int perf_ring_open(int fd, size_t data_bytes, struct perf_ring *ret_ring)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    struct perf_ring ring = {
        .mapping_bytes = page_bytes + data_bytes,
        .data_bytes = data_bytes,
    };
    ring.scratch = malloc(RECORD_MAX_BYTES);
    if (!ring.scratch) {
        return -ENOMEM;
    }
    ring.mapping = mmap(NULL, ring.mapping_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ring.mapping == MAP_FAILED) {
        int r = -errno;
        free(ring.scratch);
        return r;
    }
    ring.data = (const uint8_t *)ring.mapping + page_bytes;
    *ret_ring = ring;
    return 0;
}

void perf_ring_release(struct perf_ring *ring)
{
    if (ring->mapping) {
        munmap(ring->mapping, ring->mapping_bytes);
    }
    free(ring->scratch);
    *ring = (struct perf_ring){0};
}

void perf_ring_begin(struct perf_ring *ring)
{
    struct perf_event_mmap_page *page = ring->mapping;
    ring->head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);
    ring->tail = page->data_tail;
    uint64_t fill_bytes = ring->head - ring->tail;
    if (fill_bytes > ring->fill_max_bytes) {
        ring->fill_max_bytes = fill_bytes;
    }
}

/* Copies n_bytes at the running position `from` out of the ring. */
static void copy_out(const struct perf_ring *ring, uint64_t from, void *target, size_t n_bytes)
{
    size_t at = (size_t)(from & (ring->data_bytes - 1));
    size_t n_first = ring->data_bytes - at < n_bytes ? ring->data_bytes - at : n_bytes;
    memcpy(target, ring->data + at, n_first);
    memcpy((uint8_t *)target + n_first, ring->data, n_bytes - n_first);
}

const void *perf_ring_next(struct perf_ring *ring, size_t *ret_n_bytes, bool *ret_is_corrupt)
{
    *ret_is_corrupt = false;
    uint64_t left_bytes = ring->head - ring->tail;
    if (left_bytes < HEADER_BYTES) {
        return NULL;
    }
    struct perf_event_header header;
    copy_out(ring, ring->tail, &header, sizeof(header));
    if (header.size < HEADER_BYTES || header.size > left_bytes) {
        *ret_is_corrupt = true;
        ring->tail = ring->head;
        return NULL;
    }
    size_t at = (size_t)(ring->tail & (ring->data_bytes - 1));
    const void *record = ring->data + at;
    if (at + header.size > ring->data_bytes) {
        copy_out(ring, ring->tail, ring->scratch, header.size);
        record = ring->scratch;
    }
    ring->tail += header.size;
    *ret_n_bytes = header.size;
    return record;
}

void perf_ring_end(struct perf_ring *ring)
{
    struct perf_event_mmap_page *page = ring->mapping;
    __atomic_store_n(&page->data_tail, ring->tail, __ATOMIC_RELEASE);
}
