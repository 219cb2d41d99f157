/* SPDX-License-Identifier: MIT */
#include "capture/linux/perf_sources.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "capture/linux/broker_client.h"
#include "capture/linux/cpus.h"
#include "sources/perf_open.h"

#define RING_MIN_BYTES (32u * 1024)
#define RING_WAKES_AT 4u /* the reader, when a quarter is full */

/* A tag in 32 bits: thread ids have 22 (PID_MAX_LIMIT). */
#define TAG_FORMAT_BITS 4u
#define TAG_GENERATION_BITS 4u
#define TAG_TID_SHIFT (TAG_FORMAT_BITS + TAG_GENERATION_BITS)

static uint32_t pack(const struct perf_source_tag *tag)
{
    return (uint32_t)tag->format | (uint32_t)tag->generation << TAG_FORMAT_BITS |
           (uint32_t)tag->tid << TAG_TID_SHIFT;
}

static struct perf_source_tag unpack(uint32_t packed)
{
    return (struct perf_source_tag){
        .format = packed & ((1u << TAG_FORMAT_BITS) - 1),
        .generation = packed >> TAG_FORMAT_BITS & ((1u << TAG_GENERATION_BITS) - 1),
        .tid = (pid_t)(packed >> TAG_TID_SHIFT),
    };
}

int perf_sources_init(struct perf_sources *sources, struct broker_client *broker, size_t ring_bytes)
{
    memset(sources, 0, sizeof(*sources));
    sources->broker = broker;
    hash_table_init(&sources->tags);
    sources->ring_bytes = ring_bytes;
    int r = cpus_online(&sources->cpus, &sources->n_cpus);
    if (r != 0) {
        return r;
    }
    sources->rings = calloc(sources->n_cpus, sizeof(*sources->rings));
    sources->ring_fds = calloc(sources->n_cpus, sizeof(*sources->ring_fds));
    if (!sources->rings || !sources->ring_fds) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < sources->n_cpus; i++) {
        sources->ring_fds[i] = -1;
    }
    return 0;
}

void perf_sources_release(struct perf_sources *sources)
{
    for (size_t i = 0; sources->rings && i < sources->n_cpus; i++) {
        perf_ring_release(&sources->rings[i]);
    }
    perf_source_set_close(&sources->counters);
    perf_source_set_close(&sources->samples);
    perf_source_set_close(&sources->lasting);
    for (size_t i = 0; i < sources->n_held_fds; i++) {
        fd_close(sources->held_fds[i]);
    }
    free(sources->held_fds);
    free(sources->rings);
    free(sources->ring_fds);
    free(sources->cpus);
    hash_table_release(&sources->tags);
    memset(sources, 0, sizeof(*sources));
}

int perf_sources_open_event(const struct perf_sources *sources, const struct perf_event_attr *attr,
                            pid_t pid, int cpu)
{
    return sources->broker ? broker_client_open_event(sources->broker, attr, pid, cpu)
                           : perf_open(attr, pid, cpu);
}

/*
 * Opens the first event of a CPU and maps its ring, smaller and smaller while
 * the kernel finds it too large. When the reader is woken is fixed with the
 * ring, so each attempt needs an event of its own. Returns the descriptor.
 */
static int open_with_ring(struct perf_sources *sources, const struct perf_source_request *request,
                          bool *ret_is_ring_trouble)
{
    size_t cpu_index = request->cpu_index;
    struct perf_event_attr attr = *request->attr;
    for (;;) {
        _cleanup_(fd_closep) int fd =
            perf_sources_open_event(sources, &attr, request->pid, (int)sources->cpus[cpu_index]);
        if (fd < 0) {
            return fd;
        }
        int r = perf_ring_open(fd, sources->ring_bytes, &sources->rings[cpu_index]);
        if (r == 0) {
            sources->ring_fds[cpu_index] = fd;
            return TAKE_FD(fd);
        }
        if ((r != -EPERM && r != -ENOMEM) || sources->ring_bytes <= RING_MIN_BYTES) {
            *ret_is_ring_trouble = true;
            return r;
        }
        sources->ring_bytes /= 2;
        if (attr.wakeup_watermark > sources->ring_bytes / RING_WAKES_AT) {
            attr.wakeup_watermark = (uint32_t)(sources->ring_bytes / RING_WAKES_AT);
        }
    }
}

/* Opens a later event of a CPU, whose records go into the ring that is there. */
static int open_into_ring(const struct perf_sources *sources,
                          const struct perf_source_request *request, bool *ret_is_ring_trouble)
{
    size_t cpu_index = request->cpu_index;
    _cleanup_(fd_closep) int fd = perf_sources_open_event(sources, request->attr, request->pid,
                                                          (int)sources->cpus[cpu_index]);
    if (fd >= 0 && ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, sources->ring_fds[cpu_index]) < 0) {
        *ret_is_ring_trouble = true;
        return -errno;
    }
    return TAKE_FD(fd);
}

static int grow(struct perf_source_set *set)
{
    if (set->n_items < set->capacity) {
        return 0;
    }
    size_t capacity = set->capacity ? 2 * set->capacity : 64;
    struct perf_source *items = realloc(set->items, capacity * sizeof(*items));
    if (!items) {
        return -ENOMEM;
    }
    set->items = items;
    set->capacity = capacity;
    return 0;
}

int perf_sources_add(struct perf_sources *sources, struct perf_source_set *set,
                     const struct perf_source_request *request, int *ret_fd,
                     bool *ret_is_ring_trouble)
{
    size_t cpu_index = request->cpu_index;
    struct perf_source source = {
        .tag = {.format = request->format,
                .generation = request->generation,
                .tid = request->pid > 0 ? request->pid : 0},
    };
    *ret_is_ring_trouble = false;
    int r = grow(set);
    if (r != 0) {
        return r;
    }
    /* An event that owns a ring is listed whatever happens to it next: it must not be closed before
     * the ring is unmapped. */
    int fd = sources->ring_fds[cpu_index] < 0
                 ? open_with_ring(sources, request, ret_is_ring_trouble)
                 : open_into_ring(sources, request, ret_is_ring_trouble);
    if (fd < 0) {
        return fd;
    }
    r = perf_open_identifier(fd, &source.identifier);
    if (r == 0) {
        r = hash_table_set(&sources->tags, source.identifier, pack(&source.tag));
    }
    if (ret_fd) {
        *ret_fd = fd;
    }
    source.fd = fd;
    set->items[set->n_items++] = source;
    return r;
}

int perf_sources_adopt(struct perf_sources *sources, struct perf_source_set *set, size_t cpu_index,
                       const struct perf_source_tag *tag, int take_fd)
{
    _cleanup_(fd_closep) int fd = take_fd;
    struct perf_source source = {.tag = *tag};
    if (ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, sources->ring_fds[cpu_index]) < 0) {
        return -errno;
    }
    int r = perf_open_identifier(fd, &source.identifier);
    r = r ? r : hash_table_set(&sources->tags, source.identifier, pack(&source.tag));
    r = r ? r : grow(set);
    if (r != 0) {
        return r;
    }
    source.fd = TAKE_FD(fd);
    set->items[set->n_items++] = source;
    return 0;
}

int perf_sources_hold(struct perf_sources *sources, int take_fd)
{
    _cleanup_(fd_closep) int fd = take_fd;
    int *held_fds =
        realloc(sources->held_fds, (sources->n_held_fds + 1) * sizeof(*sources->held_fds));
    if (!held_fds) {
        return -ENOMEM;
    }
    sources->held_fds = held_fds;
    sources->held_fds[sources->n_held_fds++] = TAKE_FD(fd);
    return 0;
}

int perf_source_set_adopt(struct perf_source_set *set, int take_fd, pid_t tid)
{
    _cleanup_(fd_closep) int fd = take_fd;
    struct perf_source source = {.tag = {.format = PERF_FORMAT_NONE, .tid = tid}};
    int r = perf_open_identifier(fd, &source.identifier);
    if (r == 0) {
        r = grow(set);
    }
    if (r != 0) {
        return r;
    }
    source.fd = TAKE_FD(fd);
    set->items[set->n_items++] = source;
    return 0;
}

int perf_source_set_enable(const struct perf_source_set *set)
{
    for (size_t i = 0; i < set->n_items; i++) {
        if (ioctl(set->items[i].fd, PERF_EVENT_IOC_ENABLE, 0) < 0) {
            return -errno;
        }
    }
    return 0;
}

void perf_source_set_disable(const struct perf_source_set *set)
{
    for (size_t i = 0; i < set->n_items; i++) {
        (void)ioctl(set->items[i].fd, PERF_EVENT_IOC_DISABLE, 0);
    }
}

void perf_source_set_close(struct perf_source_set *set)
{
    for (size_t i = 0; i < set->n_items; i++) {
        fd_close(set->items[i].fd);
    }
    free(set->items);
    *set = (struct perf_source_set){0};
}

static int remember(struct perf_sources *sources, const struct perf_source_set *set)
{
    for (size_t i = 0; i < set->n_items; i++) {
        const struct perf_source *source = &set->items[i];
        int r = hash_table_set(&sources->tags, source->identifier, pack(&source->tag));
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

int perf_sources_forget_closed(struct perf_sources *sources)
{
    hash_table_clear(&sources->tags);
    int r = remember(sources, &sources->lasting);
    r = r ? r : remember(sources, &sources->counters);
    return r != 0 ? r : remember(sources, &sources->samples);
}

bool perf_sources_find(const struct perf_sources *sources, uint64_t identifier,
                       struct perf_source_tag *ret_tag)
{
    uint32_t packed = hash_table_find(&sources->tags, identifier);
    if (packed == HASH_TABLE_NONE) {
        return false;
    }
    *ret_tag = unpack(packed);
    return true;
}

static enum perf_format format_of(const void *userdata, uint64_t identifier)
{
    struct perf_source_tag tag;
    return perf_sources_find(userdata, identifier, &tag) ? tag.format : PERF_FORMAT_NONE;
}

struct perf_formats perf_sources_formats(const struct perf_sources *sources)
{
    return (struct perf_formats){.userdata = sources, .of = format_of};
}
