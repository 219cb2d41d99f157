/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * access - who may talk to this server: processes of its own user, through a socket of its own
 *
 * Owner:   access_open()/_release(); the socket's file and its lock go with it,
 *          unless somebody has put another file in their place.
 * Threads: one, before any other thread is there (the umask is the process's).
 * Limits:  a path that belongs to somebody else, or is a symbolic link, or
 *          anything but a socket, is refused, never used and never removed.
 * Source:  docs/PROTOCOL.rpc.md; unix(7).
 * Tests:   access_test.c
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"

#define ACCESS_PATH_BYTES 108

struct access {
    int fd;      /* listening */
    int lock_fd; /* held while this server lives */
    char path[ACCESS_PATH_BYTES];
    char lock_path[ACCESS_PATH_BYTES + 8];
    dev_t device;
    ino_t inode;
};

/*
 * Listens on `path`: mode 0600 from the first instant. A socket of ours that
 * nobody listens on any more is replaced.
 *
 * Returns 0; -EADDRINUSE when a server of ours is there already; -EPERM,
 * -ENAMETOOLONG or another negative errno, each with reterr_error set.
 */
int access_open(const char *path, struct access *ret_access, struct error *reterr_error);
void access_release(struct access *access);
DEFINE_RELEASEP(access);

/* 0 when the process at the other end of a connection is of our own user, else -EPERM. */
int access_check_peer(int connection_fd);

/* The process that made the connection, as the kernel says it; 0: it is none of this namespace. */
int64_t access_get_peer_pid(int connection_fd);
