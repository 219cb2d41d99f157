/* SPDX-License-Identifier: MIT */
#include "capture/linux/perf_sources.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "capture/linux/cpus.h"
#include "capture/linux/perf_open.h"

#define RING_MIN_BYTES (32u * 1024)

int perf_sources_init(struct perf_sources *sources, size_t ring_bytes)
{
    memset(sources, 0, sizeof(*sources));
    hash_table_init(&sources->formats);
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
    for (size_t i = 0; i < sources->n_fds; i++) {
        fd_close(sources->fds[i]);
    }
    for (size_t i = 0; i < sources->n_held_fds; i++) {
        fd_close(sources->held_fds[i]);
    }
    free(sources->held_fds);
    free(sources->fds);
    free(sources->rings);
    free(sources->ring_fds);
    free(sources->cpus);
    hash_table_release(&sources->formats);
    memset(sources, 0, sizeof(*sources));
}

/* Maps the ring of a CPU, smaller and smaller while the kernel finds it too large. */
static int open_ring(struct perf_sources *sources, size_t cpu_index, int fd)
{
    for (;;) {
        int r = perf_ring_open(fd, sources->ring_bytes, &sources->rings[cpu_index]);
        if (r == 0) {
            sources->ring_fds[cpu_index] = fd;
            return 0;
        }
        if ((r != -EPERM && r != -ENOMEM) || sources->ring_bytes <= RING_MIN_BYTES) {
            return r;
        }
        sources->ring_bytes /= 2;
    }
}

static int grow(struct perf_sources *sources)
{
    if (sources->n_fds < sources->fds_capacity) {
        return 0;
    }
    size_t capacity = sources->fds_capacity ? 2 * sources->fds_capacity : 64;
    int *fds = realloc(sources->fds, capacity * sizeof(*fds));
    if (!fds) {
        return -ENOMEM;
    }
    sources->fds = fds;
    sources->fds_capacity = capacity;
    return 0;
}

int perf_sources_add(struct perf_sources *sources, const struct perf_event_attr *attr, pid_t pid,
                     size_t cpu_index, enum perf_format format, int *ret_fd,
                     bool *ret_is_ring_trouble)
{
    *ret_is_ring_trouble = false;
    int r = grow(sources);
    if (r != 0) {
        return r;
    }
    _cleanup_(fd_closep) int fd = perf_open(attr, pid, (int)sources->cpus[cpu_index]);
    if (fd < 0) {
        return fd;
    }
    uint64_t identifier;
    r = perf_open_identifier(fd, &identifier);
    if (r == 0) {
        r = hash_table_set(&sources->formats, identifier, (uint32_t)format);
    }
    if (r != 0) {
        return r;
    }
    if (sources->ring_fds[cpu_index] < 0) {
        r = open_ring(sources, cpu_index, fd);
    } else if (ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, sources->ring_fds[cpu_index]) < 0) {
        r = -errno;
    }
    if (r != 0) {
        *ret_is_ring_trouble = true;
        return r;
    }
    if (ret_fd) {
        *ret_fd = fd;
    }
    sources->fds[sources->n_fds++] = TAKE_FD(fd);
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

int perf_sources_enable(struct perf_sources *sources, size_t first)
{
    for (size_t i = first; i < sources->n_fds; i++) {
        if (ioctl(sources->fds[i], PERF_EVENT_IOC_ENABLE, 0) < 0) {
            return -errno;
        }
    }
    return 0;
}

void perf_sources_disable(struct perf_sources *sources)
{
    for (size_t i = 0; i < sources->n_fds; i++) {
        (void)ioctl(sources->fds[i], PERF_EVENT_IOC_DISABLE, 0);
    }
}

static enum perf_format format_of(const void *userdata, uint64_t identifier)
{
    uint32_t format = hash_table_find(userdata, identifier);
    return format == HASH_TABLE_NONE ? PERF_FORMAT_NONE : (enum perf_format)format;
}

struct perf_formats perf_sources_formats(const struct perf_sources *sources)
{
    return (struct perf_formats){.userdata = &sources->formats, .of = format_of};
}
