/* SPDX-License-Identifier: MIT */
#include "capture/linux/child_processes.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"

#define STAT_MAX_BYTES 4096u
/* In the line of a process, after its name: proc(5) counts from 1, and the name is field 2. */
#define START_FIELD 22
#define FIRST_FIELD_AFTER_NAME 3

void child_processes_init(struct child_processes *children)
{
    pthread_mutex_init(&children->lock, NULL);
    children->n_items = 0;
    children->has_overflowed = false;
}

void child_processes_release(struct child_processes *children)
{
    for (size_t i = 0; i < children->n_items; i++) {
        fd_close(children->items[i].pidfd);
    }
    children->n_items = 0;
    pthread_mutex_destroy(&children->lock);
}

static bool is_gone(int pidfd)
{
    return syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) < 0 && errno == ESRCH;
}

/* No thread of it is left, whether or not anybody has waited for it. */
static bool has_ended(int pidfd)
{
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    return poll(&ended, 1, 0) > 0 && ended.revents != 0;
}

/* When the process that has this number now was born, by the clock that counts from the start of
 * the machine; in ticks, as the kernel tells it. 0: there is none. */
static uint64_t birth_ticks(int64_t pid)
{
    char path[64];
    _cleanup_(freep) char *text = NULL;
    (void)snprintf(path, sizeof(path), "/proc/%lld/stat", (long long)pid);
    if (fd_read_file(path, STAT_MAX_BYTES, &text, NULL) < 0) {
        return 0;
    }
    const char *at = strrchr(text, ')'); /* a name may hold any other character */
    for (int field = FIRST_FIELD_AFTER_NAME; at && field <= START_FIELD; field++) {
        at = strchr(at + 1, ' ');
    }
    return at ? strtoull(at + 1, NULL, 10) : 0;
}

bool child_process_is(int64_t pid, uint64_t born_ns)
{
    uint64_t ticks = birth_ticks(pid), tick_ns = NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK);
    uint64_t slept_ns = clock_read_ns(CLOCK_BOOTTIME) - clock_read_ns(CLOCK_MONOTONIC);
    return ticks != 0 && ticks <= (born_ns + slept_ns) / tick_ns + 1;
}

/* Under the lock; n_items: unknown. */
static size_t find(const struct child_processes *children, int64_t pid)
{
    size_t at = 0;
    while (at < children->n_items && children->items[at].pid != pid) {
        at++;
    }
    return at;
}

static void drop(struct child_processes *children, size_t at)
{
    fd_close(children->items[at].pidfd);
    children->items[at] = children->items[--children->n_items];
}

int child_processes_note(struct child_processes *children, int64_t pid, uint64_t born_ns)
{
    _cleanup_(fd_closep) int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    if (pidfd < 0) {
        return -errno;
    }
    /* Looked at behind the descriptor: it is of the process whose birth this is, or of none. */
    if (!child_process_is(pid, born_ns)) {
        return -ESRCH;
    }
    int r = 0;
    pthread_mutex_lock(&children->lock);
    size_t at = find(children, pid);
    if (at < children->n_items) {
        drop(children, at);
    }
    for (size_t i = 0; children->n_items == CHILD_PROCESSES_MAX && i < CHILD_PROCESSES_MAX; i++) {
        if (is_gone(children->items[i].pidfd)) {
            drop(children, i);
        }
    }
    if (children->n_items < CHILD_PROCESSES_MAX) {
        children->items[children->n_items++] =
            (struct child_process){.pid = pid, .pidfd = TAKE_FD(pidfd)};
    } else {
        children->has_overflowed = true;
        r = -ENOSPC;
    }
    pthread_mutex_unlock(&children->lock);
    return r;
}

void child_processes_forget(struct child_processes *children, int64_t pid)
{
    pthread_mutex_lock(&children->lock);
    size_t at = find(children, pid);
    if (at < children->n_items && has_ended(children->items[at].pidfd)) {
        drop(children, at);
    }
    pthread_mutex_unlock(&children->lock);
}

int child_processes_open(struct child_processes *children, int64_t pid)
{
    pthread_mutex_lock(&children->lock);
    int fd = children->has_overflowed ? -EPERM : -ESRCH;
    size_t at = find(children, pid);
    if (at < children->n_items) {
        fd = fcntl(children->items[at].pidfd, F_DUPFD_CLOEXEC, 0);
        fd = fd < 0 ? -errno : fd;
    }
    pthread_mutex_unlock(&children->lock);
    return fd;
}
