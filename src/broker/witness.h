/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * witness - has a thread become another program, or ended, since …?
 *
 * A process gains privilege by exec alone. What is checked and then opened is
 * of the program that was checked, as long as the kernel reports no exec and no
 * end of the thread from before the check until after the opening.
 *
 * Owner:   witness_release(). Threads: one.
 * Source:  docs/design/0011-broker.md
 * Tests:   witness_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct witness {
    int fd;
    struct perf_event_mmap_page *page; /* NULL: none */
};

/* 0 or a negative errno. */
int witness_open(pid_t tid, struct witness *ret_witness);
/* False also for what is harmless, as a new name: then it is to be looked at once more. */
bool witness_saw_nothing(const struct witness *witness);
void witness_release(struct witness *witness);
