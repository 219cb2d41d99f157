/* SPDX-License-Identifier: MIT */

#include "target/socket_watch.h"

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <stax/target.h>

#include "target_ring/memory.h"

#define PAUSE_MS 50
#define WANTED (IN_CREATE | IN_MOVED_TO | IN_ATTRIB)
#define MARK (IN_DELETE_SELF | IN_MOVE_SELF) /* of the root: never happens */

void socket_watch_init(struct socket_watch *watch, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t n_bytes = slash ? (size_t)(slash - path) : 0;

    watch->fd = -1;
    watch->name = slash ? slash + 1 : path;
    memcpy(watch->folder, path, n_bytes);
    watch->folder[n_bytes] = '\0';
    if (n_bytes == 0) {
        memcpy(watch->folder, slash ? "/" : ".", 2);
    }
}

/*
 * All that is not a file has one inode number. What tells our descriptor from
 * one that a program has opened in its place is what the kernel says it
 * watches: the first of our watches is one that nobody else makes, and that
 * does not go away with the folder.
 */
static bool read_mark(int fd, char ret_mark[SOCKET_WATCH_MARK_BYTES])
{
    char path[64], text[4096];

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    int info_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (info_fd < 0) {
        return false;
    }
    ssize_t n_bytes = read(info_fd, text, sizeof(text) - 1);
    close(info_fd);
    text[n_bytes > 0 ? n_bytes : 0] = '\0';
    const char *mark = strstr(text, "inotify wd:1 ");
    size_t n_mark = mark ? strcspn(mark, "\n") : 0;
    if (!mark || n_mark >= SOCKET_WATCH_MARK_BYTES) {
        return false;
    }
    memcpy(ret_mark, mark, n_mark);
    ret_mark[n_mark] = '\0';
    return true;
}

static bool is_ours(const struct socket_watch *watch)
{
    char mark[SOCKET_WATCH_MARK_BYTES];

    return read_mark(watch->fd, mark) && strcmp(mark, watch->mark) == 0;
}

void socket_watch_release(struct socket_watch *watch)
{
    if (watch->fd >= 0 && is_ours(watch)) {
        close(watch->fd);
    }
    watch->fd = -1;
}

void socket_watch_arm(struct socket_watch *watch)
{
    if (watch->fd >= 0) {
        if (is_ours(watch)) {
            return;
        }
        watch->fd = -1;
    }
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0) {
        return;
    }
    fd = target_ring_move_fd(fd);
    if (inotify_add_watch(fd, "/", MARK) < 0 ||
        inotify_add_watch(fd, watch->folder, WANTED | IN_ONLYDIR) < 0 ||
        !read_mark(fd, watch->mark)) {
        close(fd);
        return;
    }
    watch->fd = fd;
}

/* Whether one of the events that are there is about the socket. *ret_is_gone: so is the folder. */
static bool read_events(const struct socket_watch *watch, bool *ret_is_gone)
{
    union {
        struct inotify_event event;
        char bytes[4096];
    } buffer;
    bool is_about_it = false;
    ssize_t n_bytes;

    *ret_is_gone = !is_ours(watch);
    if (*ret_is_gone) {
        return false;
    }
    while ((n_bytes = read(watch->fd, buffer.bytes, sizeof(buffer.bytes))) > 0) {
        size_t at = 0;
        while (at + sizeof(struct inotify_event) <= (size_t)n_bytes) {
            const struct inotify_event *event = (const void *)(buffer.bytes + at);
            is_about_it |= (event->mask & IN_Q_OVERFLOW) ||
                           (event->len && strcmp(event->name, watch->name) == 0);
            *ret_is_gone |= (event->mask & IN_IGNORED) != 0;
            at += sizeof(*event) + event->len;
        }
    }
    return is_about_it;
}

void socket_watch_wait(struct socket_watch *watch, int timeout_ms)
{
    uint64_t deadline_ms = stax_now_ns() / 1000000 + (uint64_t)timeout_ms;

    for (;;) {
        uint64_t now_ms = stax_now_ns() / 1000000;
        bool is_gone;
        if (now_ms >= deadline_ms) {
            return;
        }
        struct pollfd wait = {.fd = watch->fd, .events = POLLIN};
        if (poll(&wait, 1, (int)(deadline_ms - now_ms)) <= 0) {
            continue;
        }
        if (read_events(watch, &is_gone)) {
            return;
        }
        if (is_gone) {
            socket_watch_release(watch);
        }
        poll(NULL, 0, PAUSE_MS);
    }
}
