/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wait_reason - the ten things for which a thread can be blocked
 *
 * Time on the run queue is none of them: a thread that could run is not blocked.
 *
 * Owner:   plain data.
 * Threads: values.
 * Tests:   wait_reason_test.c
 */

#include <stdbool.h>

enum wait_reason {
    WAIT_REASON_IDLE, /* for work to be handed over: condition variable, join, child, signal */
    WAIT_REASON_LOCK, /* for a lock to be let go, be it of the program, its runtime or the kernel */
    WAIT_REASON_SEM,  /* for a POSIX or System V semaphore */
    WAIT_REASON_IPC,  /* for the other side of a pipe, Unix socket, eventfd or message queue */
    WAIT_REASON_IO_R, /* for data to come in from a file, device or network; page-in */
    WAIT_REASON_IO_W, /* for data to go out; fsync and write-back throttling too */
    WAIT_REASON_READY, /* for any of several descriptors to be ready: epoll, poll, io_uring */
    WAIT_REASON_SLEEP, /* for a time to pass */
    WAIT_REASON_CONN,  /* for a peer: connect, accept, open */
    WAIT_REASON_OTHER, /* anything else: stopped, traced, and what nobody knows */
    WAIT_REASON_N
};

/* "idle", "lock", "sem", "ipc", "ioR", "ioW", "ready", "sleep", "conn", "other";
 * "unknown" out of range. */
const char *wait_reason_name(enum wait_reason reason);

/* Upper and lower case are the same. False, and nothing written, where 'name' is none of the
 * names above; it may be NULL. */
bool wait_reason_parse(const char *name, enum wait_reason *ret_reason);
