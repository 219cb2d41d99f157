/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * sched_target - whose switches are told
 *
 * Owner, Threads: see sched_steps.h.
 */

#include "sources/bpf/program.h"

extern struct map_name sched_control, family;

/* A member of one of the kernel's structs; where it is, is filled in when the program is loaded. */
#define AT(pointer, member) ((char *)(pointer) + KERNEL_MEMBER_PLACE + 8 * (member))
#define READ_U32(pointer, member) (*(volatile u32 *)AT(pointer, member))
#define READ_U64(pointer, member) (*(volatile u64 *)AT(pointer, member))
#define READ_POINTER(pointer, member) (*(void *volatile *)AT(pointer, member))

#define DUMPABLE_BITS 3
#define DUMPABLE_BY_USER 1   /* SUID_DUMP_USER of include/linux/sched/coredump.h */
#define NS_PER_TICK 10000000 /* of /proc/PID/stat: USER_HZ is 100 */

/* One of the target's processes, by number: what most tasks are not. */
INLINE int has_our_pid(struct sched_control *c, void *task)
{
    u32 pid = READ_U32(task, KERNEL_TASK_TGID);
    return pid == c->pid || (c->follows_children && lookup(&family, &pid));
}

/*
 * The target, and nothing that has become more than its owner may look into.
 * Wherever a pointer is read verifiers search all types of the kernel for what
 * may be done with it, for milliseconds: so it is best asked once.
 */
INLINE int is_ours(struct sched_control *c, void *task)
{
    u32 pid = READ_U32(task, KERNEL_TASK_TGID);
    if (!has_our_pid(c, task)) {
        return 0;
    }
    if (!c->checks_identity) {
        return 1;
    }
    void *credentials = READ_POINTER(task, KERNEL_TASK_CREDENTIALS);
    if (c->uid != 0 && (READ_U32(credentials, KERNEL_CREDENTIALS_UID) != c->uid ||
                        READ_U32(credentials, KERNEL_CREDENTIALS_EUID) != c->uid ||
                        READ_U32(credentials, KERNEL_CREDENTIALS_SUID) != c->uid)) {
        return 0;
    }
    void *leader = READ_POINTER(task, KERNEL_TASK_LEADER);
    void *mm = READ_POINTER(task, KERNEL_TASK_MM);
    return (pid != c->pid || READ_U64(leader, KERNEL_TASK_START) / NS_PER_TICK == c->start_ticks) &&
           (READ_U64(mm, KERNEL_MM_FLAGS) & DUMPABLE_BITS) == DUMPABLE_BY_USER;
}
