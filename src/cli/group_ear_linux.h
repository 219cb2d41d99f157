/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * group_ear_linux - was this signal for stax alone, or for its process group?
 *
 * A signal that somebody sends to stax is passed on to the target; one that
 * was sent to the whole group (`kill %1`, timeout(1), a shell's hangup) has
 * reached the target already and must not reach it twice. The kernel does not
 * tell the two apart, but a third process of the group does: it got the
 * signal as well, or it did not.
 *
 * Owner:   group_ear_open()/group_ear_close(). The process holds no file of
 *          ours and dies with us.
 * Threads: one; opening forks.
 * Tests:   launch_linux_test.c
 */

#include <stdbool.h>
#include <sys/types.h>

struct group_ear {
    int socket_fd; /* -1: nobody listens */
    pid_t pid;
};

/* Starts to listen. 0 or a negative errno; the ear is deaf then, and may be asked and closed. */
int group_ear_open(struct group_ear *ret_ear);
void group_ear_close(struct group_ear *ear);

/* Did `sender` send `signal` to the group since the last time this was asked? */
bool group_ear_has_heard(const struct group_ear *ear, int signal, pid_t sender);
