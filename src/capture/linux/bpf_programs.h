/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * bpf_programs - two small filters that run in the kernel
 *
 * With them, events can be opened per CPU (which costs the target nothing at a
 * context switch) and still concern nobody but the target: a sample of another
 * process is dropped before it is taken, a switch between two other processes
 * is not even looked at. Written as plain instructions: two dozen of them need
 * neither a BPF compiler nor a loader library.
 *
 * Owner:   descriptors are the caller's; closing them detaches.
 * Threads: any.
 * Source:  Documentation/bpf of Linux 6.18; docs/design/0002-opening-events.md
 */

#include <stddef.h>
#include <stdint.h>

#include "sources/kernel_btf.h"

/* May this process see process ids as the kernel's own programs see them? (Not in a pid namespace.)
 */
int bpf_programs_check_namespace(void);

/* A program for PERF_EVENT_IOC_SET_BPF that keeps the samples of process `pid` only. fd or -errno.
 */
int bpf_programs_load_sample_filter(int64_t pid);

/* The map from CPU to the bpf-output event that receives its switches. fd or -errno. */
int bpf_programs_new_outputs(size_t n_cpus);
int bpf_programs_set_output(int map_fd, uint32_t cpu, int event_fd);

/* A program on sched_switch that writes struct sched_payload for switches of process `pid`. fd or
 * -errno. */
int bpf_programs_load_sched(const struct kernel_btf *btf, int64_t pid, int outputs_fd);
