/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * jit_process - where one process tells of the code that it makes
 *
 * Files are looked for in the process' own /tmp (it may live in a container)
 * under the pid that it has there. They lie where anybody may write: a file is
 * believed only when it belongs to the process' user or to root, is no link,
 * and was written since the process began.
 *
 * Owner:   the caller holds the struct; jit_process_release().
 * Threads: one (jit_tail's).
 * Source:  proc_pid_status(5), proc_pid_stat(5), pidfd_open(2).
 * Tests:   jit_process_linux_test.c
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

struct jit_process {
    int64_t pid;
    int64_t inner_pid;      /* in its own pid namespace */
    uint32_t uid;           /* effective */
    int pidfd;              /* readable when it has ended; -1: not known */
    int tmp_fd;             /* its /tmp; -1: not reachable */
    uint64_t start_unix_ns; /* of it, or of the program that it runs now; 0: unknown */
    uint64_t start_ticks;   /* since boot: tells it from a later one with its pid; 0: unknown */
};

/* 0, or -ESRCH where there is no such process any more (ret_process is of use still: its files may
 * have stayed). */
int jit_process_open(int64_t pid, struct jit_process *ret_process);
void jit_process_release(struct jit_process *process);
DEFINE_RELEASEP(jit_process);

bool jit_process_has_ended(const struct jit_process *process);

/* Has its pid been taken by another process since? */
bool jit_process_is_replaced(const struct jit_process *process);

/* It runs another program since time_ns (CLOCK_MONOTONIC): what is older is not believed. */
void jit_process_exec(struct jit_process *process, uint64_t time_ns);

/* Of any process: -1 where it is not known. */
int64_t jit_process_parent_of(int64_t pid);

/* "perf-" and ".map" or "jit-" and ".dump" around its pid, in its /tmp: a descriptor, or a negative
 * errno (-ENOENT: not there yet, -EPERM: not to be believed, -ESTALE: older than the process). */
int jit_process_open_file(const struct jit_process *process, const char *prefix,
                          const char *suffix);

/* Does a file that was found otherwise deserve belief? As above. */
int jit_process_check_file(const struct jit_process *process, int fd);
