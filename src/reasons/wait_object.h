/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wait_object - what the first argument of a system call that blocks stands for, and its name
 *
 * The numbers are those of the architecture that this program was built for.
 *
 * Owner:   strings are static.
 * Threads: pure functions.
 * Source:  <sys/syscall.h>
 * Tests:   wait_object_linux_test.c
 */

#include <stdint.h>

enum wait_object_kind {
    WAIT_OBJECT_NONE,  /* the first argument names nothing that is waited for */
    WAIT_OBJECT_FD,    /* a descriptor of the thread's process */
    WAIT_OBJECT_FUTEX, /* the address of a futex word */
    WAIT_OBJECT_PID,   /* a process, thread or group, as wait4() reads it */
};

/* WAIT_OBJECT_NONE for a call that never blocks, too. */
enum wait_object_kind wait_object_of_syscall(uint32_t nr);

/* "read", "futex", "epoll_wait", … for the calls that can block; NULL for every other number. */
const char *wait_syscall_name(uint32_t nr);
