/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * ready_programs - the programs of a recording, loaded before anybody asks
 *
 * The kernel looks through a program for tens of milliseconds before it takes
 * it, and a recording needs three. One set of them, attached to nothing and
 * aimed at nobody, is held for the next recording that can use it; whoever
 * comes while there is none makes its own.
 *
 * Owner:   the set that is held is this file's, one that was taken the
 *          caller's.
 * Threads: any. A set is made on a thread of its own, and waited for.
 * Limits:  hosts whose CPUs are numbered below READY_PROGRAMS_MAX_CPUS: each
 *          takes memory of the kernel, for as long as the set is held.
 * Source:  docs/design/0006-unwinding.md
 * Tests:   ready_programs_test.c
 */

#include <stdbool.h>
#include <stdint.h>

#include "capture/linux/kernel_walk.h"
#include "sources/sched_watch.h"

#define READY_PROGRAMS_MAX_CPUS 16u
/* Of each CPU's ring of switches. At a million of them a second what a reader has to read within
 * 50 ms. */
#define READY_PROGRAMS_RING_BYTES (4u << 20)

struct ready_programs {
    int outputs_fd; /* CPU → bpf-output event */
    struct kernel_walk *walk;
    struct sched_watch *watch; /* walks by the tables of `walk` */
};

/* Begins to make a set if none is held and this host would take it. */
void ready_programs_prepare(void);

/* The set, if it is for so many CPUs; false: none is. Waits for one that is being made. */
bool ready_programs_take(uint32_t n_cpus, struct ready_programs *ret_programs);

/* Ends what prepare() has begun, and gives back what is held. */
void ready_programs_release(void);
