/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * child_processes - which processes the target has forked, beyond their numbers
 *
 * A number can be another process's a moment later. A descriptor of each child
 * is kept from its birth on, so that whoever reads a child's memory can make
 * sure whose it is.
 *
 * Owner:   a part of struct capture; the struct is the caller's memory.
 * Threads: any.
 * Limits:  CHILD_PROCESSES_MAX living ones; of more nothing is known.
 * Source:  pidfd_open(2), proc(5).
 * Tests:   child_processes_test.c
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHILD_PROCESSES_MAX 256u

struct child_process {
    int64_t pid;
    int pidfd;
};

struct child_processes {
    pthread_mutex_t lock;
    struct child_process items[CHILD_PROCESSES_MAX];
    size_t n_items;
    bool has_overflowed; /* there are children that nothing is known of */
};

void child_processes_init(struct child_processes *children);
void child_processes_release(struct child_processes *children);

/*
 * `pid` was born at born_ns (CLOCK_MONOTONIC), a moment ago. 0, or a negative
 * errno: -ESRCH for one that is gone already, also where its number is another
 * process's by now; -ENOSPC.
 */
int child_processes_note(struct child_processes *children, int64_t pid, uint64_t born_ns);
/* Its first thread has ended. Where others of its threads live on, nothing is forgotten. */
void child_processes_forget(struct child_processes *children, int64_t pid);

/* Is the process that has the number now the one that was born at born_ns, and not a later one? */
bool child_process_is(int64_t pid, uint64_t born_ns);

/* A descriptor of the process, for the caller to close. -ESRCH for one that is gone, -EPERM where
 * that is not known. */
int child_processes_open(struct child_processes *children, int64_t pid);
