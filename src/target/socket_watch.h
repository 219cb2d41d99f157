/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * socket_watch - wakes when the server's socket appears in its folder
 *
 * Owner:   the thread that connects; a child after fork() only drops it.
 * Threads: one.
 * Limits:  a folder where much happens (/tmp) wakes it 20 times a second at most.
 * Tests:   link_test.c
 */

#include "target/server_path.h"

#define SOCKET_WATCH_MARK_BYTES 256

struct socket_watch {
    char folder[TARGET_PATH_BYTES];
    const char *name;                   /* of the socket, in the path that was given */
    int fd;                             /* -1: time alone tells */
    char mark[SOCKET_WATCH_MARK_BYTES]; /* how /proc tells it from another one */
};

/* path is borrowed as long as the watch is. */
void socket_watch_init(struct socket_watch *watch, const char *path);

/* A child's copy. */
void socket_watch_release(struct socket_watch *watch);

/* Begins to listen, if it does not yet. What happens from now on wakes socket_watch_wait(). */
void socket_watch_arm(struct socket_watch *watch);

/* Returns when the socket has appeared or been touched, or the time is up. */
void socket_watch_wait(struct socket_watch *watch, int timeout_ms);
