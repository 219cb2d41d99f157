/* SPDX-License-Identifier: MIT */
/*
 * On sched_process_fork: a process that one of ours makes is one of ours,
 * before its first instruction.
 *
 * Source: docs/design/0012-waits.md. Built by tools/gen-bpf into
 * sched_fork_program.h.
 */
#include "sources/bpf/sched_target.h"

static long (*update)(void *map, const void *key, const void *value,
                      u64 flags) = (void *)BPF_FUNC_map_update_elem;

SECTION("program/sched_fork") int sched_fork(u64 *ctx)
{
    u32 zero = 0;
    struct sched_control *c = lookup(&sched_control, &zero);
    void *parent = (void *)ctx[0], *child = (void *)ctx[1];
    if (!c || !is_ours(c, parent)) {
        return 0;
    }
    u32 pid = READ_U32(child, KERNEL_TASK_TGID), one = 1;
    if (pid != READ_U32(parent, KERNEL_TASK_TGID)) {
        update(&family, &pid, &one, 0);
    }
    return 0;
}
