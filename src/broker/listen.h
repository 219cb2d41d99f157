/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * listen - the socket, and who is at its other end
 *
 * Owner:   descriptors are the caller's. Threads: one.
 * Source:  unix(7), sd_listen_fds(3).
 * Tests:   listen_test.c
 */

#include "broker/authorize.h"

/* The one that a service manager opened; -ENOENT where there is none, -EINVAL for another kind. */
int listen_adopt(void);

/*
 * One at `path`, for everybody or (group other than -1) for its owner and that
 * group. Takes the place of a socket of ours that nobody listens on, and of
 * nothing else. -EPERM where others may write to the folder.
 */
int listen_open(const char *path, gid_t group);

/* A connection, or a negative errno. */
int listen_accept(int listen_fd, struct caller *ret_caller);
