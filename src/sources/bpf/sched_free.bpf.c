/* SPDX-License-Identifier: MIT */
/*
 * On sched_process_free: the number of a process that has ended is free for
 * anybody. At the exit of its first thread a process may have others, which
 * live on, or one that executes a program in its place.
 *
 * Source: docs/design/0012-waits.md. Built by tools/gen-bpf into
 * sched_free_program.h.
 */
#include "sources/bpf/sched_target.h"

static long (*forget)(void *map, const void *key) = (void *)BPF_FUNC_map_delete_elem;

SECTION("program/sched_free") int sched_free(u64 *ctx)
{
    void *task = (void *)ctx[0];
    u32 pid = READ_U32(task, KERNEL_TASK_TGID);
    if (pid == READ_U32(task, KERNEL_TASK_PID)) {
        forget(&family, &pid);
    }
    return 0;
}
