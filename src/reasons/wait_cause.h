/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wait_cause - why a thread was blocked, from the names of its wait stack
 *
 * Shape:   first the kernel half: the wait site says what kind of object is waited for, and the
 *          system call says in which direction where the site does not. A futex or a System V
 *          semaphore is whatever the user frames above make of it, and there they decide. So they
 *          do over a wait for readiness where it is known to be no such wait: the row locks of
 *          postgres wait in epoll, some sleeps in select. Without a kernel half the user frames
 *          say which call was made.
 * Owner:   nothing is kept and nothing is allocated.
 * Threads: a pure function.
 * Limits:  a name longer than WAIT_NAME_MAX_BYTES is as if it were unknown.
 * Tests:   wait_rules_test.c (each row of the table), wait_cause_test.c (whole stacks),
 *          wait_recorded_test.c (stacks of real programs)
 */

#include <stddef.h>

#include "model/wait_reason.h"

#define WAIT_NAME_MAX_BYTES 4096

/* Of the user frames the innermost so many are looked at. */
#define WAIT_CAUSE_USER_FRAMES_MAX 48u

/*
 * The wait stack, innermost first. The first 'n_kernel' are functions of the kernel as
 * /proc/kallsyms names them; there may be none, or only the one of /proc/PID/wchan, with the entry
 * of the system call behind it or not. A name that is not known is NULL, "" or "image+0x…".
 */
struct wait_names {
    const char *const *names;
    size_t n_names;
    size_t n_kernel; /* more than n_names: all are the kernel's */
};

struct wait_cause {
    enum wait_reason reason;
    size_t site; /* index of the innermost frame that says what is waited for; n_names: none does */
};

struct wait_cause wait_cause_decide(const struct wait_names *stack);
