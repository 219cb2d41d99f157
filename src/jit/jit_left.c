/* SPDX-License-Identifier: MIT */
#include "jit/jit_left.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "jit/jit_map.h"
#include "jit/jit_process.h"
#include "jit/jit_tail.h"

/* The map of a program that ends is written while the recorder writes its file. */
#define WRITTEN_LATE_NS (60 * NS_PER_S)

struct jit_left {
    struct jit_code *code;
    uint64_t ended_at_unix_ns;
    size_t n_pids;
    int64_t pids[JIT_LEFT_MAX_PROCESSES];
};

int jit_left_new(struct jit_code *code, uint64_t ended_at_unix_ns, struct jit_left **ret_left)
{
    struct jit_left *left = calloc(1, sizeof(*left));
    if (!left) {
        return -ENOMEM;
    }
    left->code = code;
    left->ended_at_unix_ns = ended_at_unix_ns;
    *ret_left = left;
    return 0;
}

struct jit_left *jit_left_free(struct jit_left *left)
{
    free(left);
    return NULL;
}

static bool was_written_later(const struct jit_left *left, int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0) {
        return true;
    }
    uint64_t written_ns =
        (uint64_t)status.st_mtim.tv_sec * NS_PER_S + (uint64_t)status.st_mtim.tv_nsec;
    return written_ns > left->ended_at_unix_ns + WRITTEN_LATE_NS;
}

static int open_map(const struct jit_left *left, int64_t pid)
{
    _cleanup_(jit_process_releasep) struct jit_process process;
    bool is_alive = jit_process_open(pid, &process) == 0;
    if (is_alive && process.start_unix_ns > left->ended_at_unix_ns) {
        return -ESTALE; /* another one */
    }
    _cleanup_(fd_closep) int fd = jit_process_open_file(&process, "perf-", ".map");
    if (fd >= 0 && !is_alive && was_written_later(left, fd)) {
        return -ESTALE;
    }
    return TAKE_FD(fd);
}

static void read_map(struct jit_left *left, int64_t pid)
{
    _cleanup_(jit_map_freep) struct jit_map *map = NULL;
    int fd = open_map(left, pid);
    if (fd < 0 || jit_map_open(left->code, pid, fd, &map) < 0) {
        return;
    }
    struct jit_budget budget;
    do {
        budget = jit_budget_begin(NULL, clock_now_ns());
    } while (jit_map_read(map, true, &budget) >= 0 && budget.was_exceeded);
    (void)jit_code_publish(left->code);
}

void jit_left_on_image(struct jit_left *left, const struct event *event)
{
    const char *path = event->image->path ? event->image->path : "";
    if (event->image->change != EVENT_IMAGE_MAPPED || !jit_tail_is_made(path) ||
        left->n_pids == JIT_LEFT_MAX_PROCESSES) {
        return;
    }
    for (size_t i = left->n_pids; i > 0; i--) {
        if (left->pids[i - 1] == event->pid) {
            return;
        }
    }
    left->pids[left->n_pids++] = event->pid;
    read_map(left, event->pid);
}
