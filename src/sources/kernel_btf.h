/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * kernel_btf - where this kernel keeps the few members that our program reads
 *
 * Owner:   plain data. Threads: any; the file is read once per process.
 * Source:  Documentation/bpf/btf.rst of Linux 6.18; /sys/kernel/btf/vmlinux.
 * Tests:   kernel_btf_test.c
 */

#include <stddef.h>
#include <stdint.h>

struct kernel_btf {
    uint32_t task_pid_offset, task_tgid_offset; /* in struct task_struct, bytes */
    uint32_t task_cpu_time_offset;              /* se.sum_exec_runtime */
    uint32_t sched_switch_type;                 /* type id of btf_trace_sched_switch */
};

/* Looks the members up in a BTF blob. 0; -EBADMSG: not BTF; -ENOENT: something is missing. */
int kernel_btf_parse(const void *data, size_t n_bytes, struct kernel_btf *ret_btf);

/* The running kernel's. Also -errno of reading the file. */
int kernel_btf_load(struct kernel_btf *ret_btf);
