/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * kernel_programs - the programs of bpf/, made fit for this kernel and loaded
 *
 * Owner:   descriptors are the caller's. Threads: any.
 * Source:  docs/design/0006-unwinding.md, 0012-waits.md
 * Tests:   capture/linux/kernel_walk_test.c, sched_watch_test.c
 */

#include <stdbool.h>

#include "sources/kernel_btf.h"

enum kernel_program {
    KERNEL_PROGRAM_SAMPLE, /* for PERF_EVENT_IOC_SET_BPF; needs no kernel_btf */
    KERNEL_PROGRAM_SCHED_SWITCH,
    KERNEL_PROGRAM_SCHED_WAKING,
    KERNEL_PROGRAM_SCHED_FORK,
    KERNEL_PROGRAM_SCHED_FREE,
    KERNEL_PROGRAM_N
};

/* Are there programs for this architecture? */
bool kernel_program_is_there(void);

/*
 * A descriptor, or a negative errno; -EOPNOTSUPP: there is no program for this
 * architecture.
 *
 *   maps  descriptors by enum walk_map; those that the program does not name
 *         may be anything
 *   btf   borrowed; may be NULL for KERNEL_PROGRAM_SAMPLE
 */
int kernel_program_load(enum kernel_program program, const int maps[WALK_MAP_N],
                        const struct kernel_btf *btf);
