/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * capability - what this host lets us record, and the fix for what it does not
 *
 * Owner:   plain data in the caller's memory.
 * Threads: values.
 */

#include <stdbool.h>

enum capability_kind {
    CAPABILITY_ON_CPU,        /* samples of running threads */
    CAPABILITY_OFF_CPU,       /* exact switch times */
    CAPABILITY_KERNEL_STACKS, /* kernel frames in samples */
    CAPABILITY_WAIT_STACKS,   /* exact stacks of waits */
    CAPABILITY_WAKEUPS,
    CAPABILITY_COUNTERS,
    CAPABILITY_KIND_N
};

struct capability {
    bool is_available;
    char reason[160]; /* why not: "perf_event_paranoid=2" */
    char fix[200];    /* what to type: "sudo sysctl kernel.perf_event_paranoid=1" */
};

struct capability_set {
    struct capability items[CAPABILITY_KIND_N];
    char backend[64]; /* "perf, per-CPU events filtered in the kernel" */
};

/* "on-cpu", "off-cpu", "kernel-stacks", … */
const char *capability_kind_name(enum capability_kind kind);
