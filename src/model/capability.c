/* SPDX-License-Identifier: MIT */
#include "model/capability.h"

const char *capability_kind_name(enum capability_kind kind)
{
    static const char *const names[CAPABILITY_KIND_N] = {
        [CAPABILITY_ON_CPU] = "on-cpu",
        [CAPABILITY_OFF_CPU] = "off-cpu",
        [CAPABILITY_KERNEL_STACKS] = "kernel-stacks",
        [CAPABILITY_WAIT_STACKS] = "wait-stacks",
        [CAPABILITY_WAKEUPS] = "wakeups",
        [CAPABILITY_COUNTERS] = "counters",
    };
    if ((unsigned int)kind >= CAPABILITY_KIND_N) {
        return "unknown";
    }
    return names[kind];
}
