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
    WALK_MAP_SCHED_CONTROL,
    WALK_MAP_STATES,
    WALK_MAP_MEMOS,
    WALK_MAP_RINGS,
    WALK_MAP_LOST,
    WALK_MAP_FAMILY,
    WALK_MAP_COUNTS,
    WALK_MAP_N
};

/* Members of the kernel's structs that the programs read. */
enum kernel_member {
    KERNEL_TASK_PID,
    KERNEL_TASK_TGID,
    KERNEL_TASK_CPU_TIME, /* se.sum_exec_runtime */
    KERNEL_TASK_START,    /* start_boottime */
    KERNEL_TASK_LEADER,
    KERNEL_TASK_MM,
    KERNEL_MM_FLAGS,
    KERNEL_TASK_CREDENTIALS, /* real_cred */
    KERNEL_CREDENTIALS_UID,
    KERNEL_CREDENTIALS_EUID,
    KERNEL_CREDENTIALS_SUID,
    KERNEL_TASK_CFS_RQ, /* se.cfs_rq */
    KERNEL_CFS_RQ_RQ,
    KERNEL_TASK_TLS, /* thread.fsbase */
    KERNEL_MM_STACK, /* start_stack */
    KERNEL_MEMBER_N
};

/* Programs are compiled with these offsets, which no struct has; 8 bytes apart. */
#define KERNEL_MEMBER_PLACE 0x7000

/* The instruction (the first of its pair) that takes the address of a map. */
struct walk_place {
    __u32 insn;
    enum walk_map map;
};

/* The instruction whose offset is that of a member. */
struct kernel_member_place {
    __u32 insn;
    enum kernel_member member;
};

/* A stack whose walk has read no more than so many words is recognised by them. */
#define WALK_MAX_WORDS 160
#define WALK_MAX_KERNEL_IPS 128
#define WALK_MAX_COMPAT_IPS 512
/* A record of the ring is shorter than 64 KiB. */
#define WALK_MAX_STACK_BYTES 49152
/* sizeof(struct scratch) of walk.bpf.c, which asserts it. */
#define WALK_SCRATCH_BYTES                                                                         \
    (72 + 32 + 8192 * 8 + WALK_MAX_STACK_BYTES + 28 * 8 + WALK_MAX_WORDS * 16 + 1024 + 1024 * 32)
/* sizeof(struct state) and sizeof(struct memos) of sched_steps.h, which asserts them. */
#define SCHED_STATE_BYTES (3 * 8 + 8 * 4)
#define SCHED_MEMOS_BYTES (2 * 8 + 2 * (9 * 8 + WALK_MAX_WORDS * 16))
/* Powers of two: a thread's place is told by the last bits of its number. */
#define SCHED_STATES 32768
#define SCHED_MEMOS 1024
