/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * kernel_btf - where this kernel keeps what our programs read
 *
 * Owner:   plain data. Threads: any; the file is read once per process.
 * Source:  Documentation/bpf/btf.rst of Linux 6.18; /sys/kernel/btf/vmlinux.
 * Tests:   kernel_btf_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "sources/bpf/walk_object.h"

struct kernel_btf {
    uint32_t members[KERNEL_MEMBER_N]; /* offsets in bytes */
    int64_t preempt_count_from_rq;     /* of one CPU: address of its count minus that of its rq */
    uint32_t sched_switch_type;        /* type id of btf_trace_sched_switch */
    uint32_t sched_waking_type;
    uint32_t sched_fork_type, sched_free_type; /* btf_trace_sched_process_… */
};

/* Looks everything up in a BTF blob. 0; -EBADMSG: not BTF; -ENOENT: something is missing; -ENOMEM.
 */
int kernel_btf_parse(const void *data, size_t n_bytes, struct kernel_btf *ret_btf);

/* The running kernel's. Also -errno of reading the file. */
int kernel_btf_load(struct kernel_btf *ret_btf);
