/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * kernel_walk - stacks walked inside the kernel, at the moment of the sample
 *
 * Loads the programs of bpf/walk.bpf.c and keeps the tables that they read.
 * A sample that they take arrives as raw data of the bpf-output event of its
 * CPU (decode/walk_payload.h), walked; the sampling event itself writes
 * nothing.
 *
 * Owner:   kernel_walk_new()/_free(). Programs stay attached as long as the
 *          sampling events live.
 * Threads: kernel_walk_set_code() on one thread at a time, beside anything else.
 * Limits:  WALK_MAX_RANGES ranges, WALK_MAX_TABLES tables; what does not fit
 *          is walked outside.
 * Source:  docs/design/0006-unwinding.md; Documentation/bpf of Linux 6.18.
 * Tests:   kernel_walk_test.c, tests/e2e/test_unwinding.py
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "sources/bpf/walk_object.h"
#include "unwind/code_map.h"

struct kernel_walk;

struct kernel_walk_config {
    int64_t pid;     /* 0: nobody's, until kernel_walk_aim() */
    uint32_t n_cpus; /* numbers go up to this minus 1 */
    int outputs_fd;  /* borrowed: CPU → bpf-output event */
    bool no_kernel;
    uint32_t max_stack_bytes; /* appended where the walk cannot finish */
};

/* 0, or the negative errno of a kernel that cannot or does not want to; *ret_step says where.
 * -EOPNOTSUPP: there is no program for this architecture. */
int kernel_walk_new(const struct kernel_walk_config *config, struct kernel_walk **ret_walk,
                    const char **ret_step);
struct kernel_walk *kernel_walk_free(struct kernel_walk *walk);

/* Before it is attached: whose stacks it walks, and how; the other members are not looked at. */
void kernel_walk_aim(struct kernel_walk *walk, const struct kernel_walk_config *config);
DEFINE_FREEP(kernel_walk);

/* For PERF_EVENT_IOC_SET_BPF on each sampling event; borrowed. */
int kernel_walk_program(const struct kernel_walk *walk);

/* A map that other programs may walk by too; borrowed. */
int kernel_walk_map(const struct kernel_walk *walk, enum walk_map map);

/* What the target has mapped now; walks from here on tell its generation. Tables are sent once
 * each, and must stay for as long as the walk. */
void kernel_walk_set_code(struct kernel_walk *walk, const struct code_map *map);
