/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * program - what every program of this folder is made of
 *
 * Helpers of the kernel are called by number: bpf-helpers(7).
 *
 * Owner, Threads: constants.
 */

#include <linux/bpf.h>

#include "decode/sched_payload.h"
#include "decode/walk_payload.h"
#include "sources/bpf/walk_maps.h"
#include "sources/bpf/walk_object.h"

typedef __u64 u64;
typedef __u32 u32;
typedef __s64 s64;

#define SECTION(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))

static void *(*lookup)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static u64 (*current_pid_tgid)(void) = (void *)BPF_FUNC_get_current_pid_tgid;
static long (*read_user)(void *to, u32 n_bytes,
                         const void *from) = (void *)BPF_FUNC_probe_read_user;
static long (*read_kernel)(void *to, u32 n_bytes,
                           const void *from) = (void *)BPF_FUNC_probe_read_kernel;
static long (*get_stack)(void *ctx, void *to, u32 n_bytes, u64 flags) = (void *)BPF_FUNC_get_stack;
static long (*loop)(u32 n, void *body, void *argument, u64 flags) = (void *)BPF_FUNC_loop;
static u32 (*current_cpu)(void) = (void *)BPF_FUNC_get_smp_processor_id;
static void *(*current_task)(void) = (void *)BPF_FUNC_get_current_task_btf;
static void *(*task_registers)(void *task) = (void *)BPF_FUNC_task_pt_regs;

/* Maps are made by kernel_walk.c; here they are only names. */
struct map_name {
    int unused;
};
