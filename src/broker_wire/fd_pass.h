/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * fd_pass - one message of a SOCK_SEQPACKET socket, with a descriptor or without
 *
 * Owner:   a received descriptor is the caller's (close-on-exec); a sent one is
 *          borrowed.
 * Threads: one per socket.
 * Source:  unix(7), cmsg(3).
 * Tests:   fd_pass_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* fd -1: none. 0 or a negative errno; never waits where is_waiting is false. */
int fd_pass_send(int socket_fd, const void *data, size_t n_bytes, int fd, bool is_waiting);

/*
 * Returns the message's length (0: the peer has gone), or a negative errno:
 * -EMSGSIZE for one that is longer than max_bytes or brings more than one
 * descriptor, none of which is left open. *ret_fd is -1 where none came.
 */
ssize_t fd_pass_receive(int socket_fd, void *data, size_t max_bytes, int *ret_fd, bool is_waiting);
