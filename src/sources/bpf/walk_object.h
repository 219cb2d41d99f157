/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * walk_object - what walk_program.h is made of
 *
 * Owner, Threads: constants.
 */

#include <linux/bpf.h>

/* The maps that the programs name. */
enum walk_map {
    WALK_MAP_CONTROL,
    WALK_MAP_RANGES,
    WALK_MAP_TABLES,
    WALK_MAP_SCRATCH,
    WALK_MAP_OUTPUTS,
    WALK_MAP_N
};

/* The instruction (the first of its pair) that takes the address of a map. */
struct walk_place {
    __u32 insn;
    enum walk_map map;
};

#define WALK_MAX_KERNEL_IPS 128
#define WALK_MAX_COMPAT_IPS 512
/* A record of the ring is shorter than 64 KiB. */
#define WALK_MAX_STACK_BYTES 49152
/* sizeof(struct scratch) of walk.bpf.c, which asserts it. */
#define WALK_SCRATCH_BYTES (32 + 8192 * 8 + WALK_MAX_STACK_BYTES + 10 * 8 + 1024 + 1024 * 32)
