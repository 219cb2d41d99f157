/* SPDX-License-Identifier: MIT */
#include "capture/linux/target_state.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "images/proc_maps.h"

#define MAPS_MAX_BYTES (256u << 20)

static void closedirp(DIR **directory)
{
    if (*directory) {
        closedir(*directory);
    }
}

int target_state_each_thread(int64_t pid, int (*on_tid)(void *userdata, int64_t tid),
                             void *userdata)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%" PRId64 "/task", pid);
    _cleanup_(closedirp) DIR *directory = opendir(path);
    if (!directory) {
        return errno == ENOENT ? -ESRCH : -errno;
    }
    const struct dirent *entry;
    while ((entry = readdir(directory))) {
        char *end;
        long long tid = strtoll(entry->d_name, &end, 10);
        if (end == entry->d_name || *end != '\0' || tid <= 0) {
            continue;
        }
        int r = on_tid(userdata, tid);
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

struct emission {
    int64_t pid;
    uint64_t time_ns;
    const struct event_sink *sink;
};

static int emit_thread(void *userdata, int64_t tid)
{
    const struct emission *emission = userdata;
    char path[96];
    (void)snprintf(path, sizeof(path), "/proc/%" PRId64 "/task/%" PRId64 "/comm", emission->pid,
                   tid);
    _cleanup_(freep) char *name = NULL;
    size_t n_bytes;
    if (fd_read_file(path, 256, &name, &n_bytes) == 0 && n_bytes > 0 && name[n_bytes - 1] == '\n') {
        name[n_bytes - 1] = '\0';
    }
    const struct event event = {
        .kind = EVENT_THREAD,
        .time_ns = emission->time_ns,
        .pid = emission->pid,
        .tid = tid,
        .thread = {.change = EVENT_THREAD_PRESENT, .name = name},
    };
    return emission->sink->on_events(emission->sink->userdata, &event, 1);
}

static int emit_images(const struct emission *emission)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%" PRId64 "/maps", emission->pid);
    _cleanup_(freep) char *maps = NULL;
    size_t n_bytes;
    int r = fd_read_file(path, MAPS_MAX_BYTES, &maps, &n_bytes);
    if (r != 0) {
        return r;
    }
    char *at = maps;
    struct proc_maps_line line;
    while (r == 0 && proc_maps_next(&at, &line)) {
        if (!line.is_executable) {
            continue;
        }
        const struct event event = {
            .kind = EVENT_IMAGE,
            .time_ns = emission->time_ns,
            .pid = emission->pid,
            .tid = emission->pid,
            .image = &line.image,
        };
        r = emission->sink->on_events(emission->sink->userdata, &event, 1);
    }
    return r;
}

int target_state_emit(int64_t pid, uint64_t time_ns, const struct event_sink *sink)
{
    struct emission emission = {.pid = pid, .time_ns = time_ns, .sink = sink};
    int r = target_state_each_thread(pid, emit_thread, &emission);
    /* A target that cannot be read any more (it just ended) is no reason to fail: its events tell.
     */
    if (r == 0) {
        r = emit_images(&emission);
    }
    return r == -ESRCH || r == -ENOENT || r == -EACCES || r == -EPERM ? 0 : r;
}
