/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * perf_abi - the numbers of the Linux perf ring that we read
 *
 * Our own copy, so that recorded bytes decode on every machine, whatever its
 * kernel headers say.
 *
 * Owner, Threads: constants.
 * Source:  perf_event_open(2); include/uapi/linux/perf_event.h of Linux 6.18.
 */

#define PERF_ABI_RECORD_MMAP 1
#define PERF_ABI_RECORD_LOST 2
#define PERF_ABI_RECORD_COMM 3
#define PERF_ABI_RECORD_EXIT 4
#define PERF_ABI_RECORD_THROTTLE 5
#define PERF_ABI_RECORD_UNTHROTTLE 6
#define PERF_ABI_RECORD_FORK 7
#define PERF_ABI_RECORD_SAMPLE 9
#define PERF_ABI_RECORD_MMAP2 10
#define PERF_ABI_RECORD_LOST_SAMPLES 13
#define PERF_ABI_RECORD_SWITCH 14
#define PERF_ABI_RECORD_SWITCH_CPU_WIDE 15 /* the other thread, then as RECORD_SWITCH */

#define PERF_ABI_MISC_CPUMODE_MASK 7u
#define PERF_ABI_MISC_KERNEL 1u
#define PERF_ABI_MISC_USER 2u
#define PERF_ABI_MISC_MMAP_BUILD_ID (1u << 14)
#define PERF_ABI_MISC_COMM_EXEC (1u << 13)
#define PERF_ABI_MISC_SWITCH_OUT (1u << 13)
#define PERF_ABI_MISC_SWITCH_OUT_PREEMPT (1u << 14)

#define PERF_ABI_SAMPLE_IP (1u << 0)
#define PERF_ABI_SAMPLE_TID (1u << 1)
#define PERF_ABI_SAMPLE_TIME (1u << 2)
#define PERF_ABI_SAMPLE_ADDR (1u << 3)
#define PERF_ABI_SAMPLE_READ (1u << 4)
#define PERF_ABI_SAMPLE_CALLCHAIN (1u << 5)
#define PERF_ABI_SAMPLE_ID (1u << 6)
#define PERF_ABI_SAMPLE_CPU (1u << 7)
#define PERF_ABI_SAMPLE_PERIOD (1u << 8)
#define PERF_ABI_SAMPLE_STREAM_ID (1u << 9)
#define PERF_ABI_SAMPLE_RAW (1u << 10)
#define PERF_ABI_SAMPLE_BRANCH_STACK (1u << 11)
#define PERF_ABI_SAMPLE_REGS_USER (1u << 12)
#define PERF_ABI_SAMPLE_STACK_USER (1u << 13)
#define PERF_ABI_SAMPLE_IDENTIFIER (1u << 16)

/* Of what is read with a sample: how long it was enabled, how long it counted, all of a group. */
#define PERF_ABI_READ_ENABLED (1u << 0)
#define PERF_ABI_READ_RUNNING (1u << 1)
#define PERF_ABI_READ_GROUP (1u << 3)
#define PERF_ABI_READ_FORMAT (PERF_ABI_READ_ENABLED | PERF_ABI_READ_RUNNING | PERF_ABI_READ_GROUP)

/* What the registers of a sample are; the other values: none, and those of a 32-bit program. */
#define PERF_ABI_REGS_64 2

/*
 * The registers that we ask for; they come in the order of their numbers.
 * x86-64: cx, bp, sp, ip. cx is not for the walk: the syscall instruction
 * leaves the address behind itself in it.
 * aarch64: x29 (the frame pointer), lr, sp, pc.
 */
#define PERF_ABI_REGS_X86_64 (1u << 6 | 1u << 2 | 1u << 7 | 1u << 8)
#define PERF_ABI_REGS_AARCH64 (UINT64_C(1) << 29 | 1u << 30 | 1u << 31 | UINT64_C(1) << 32)

/* Markers inside a callchain: what follows belongs to … */
#define PERF_ABI_CONTEXT_MAX ((uint64_t)-4095) /* every value from here up is a marker */
#define PERF_ABI_CONTEXT_KERNEL ((uint64_t)-128)
#define PERF_ABI_CONTEXT_USER ((uint64_t)-512)

#define PERF_ABI_PROT_EXEC 4

/*
 * The sample formats of our kinds of events. All of them, and the
 * trailer of every other record, begin or end with the event's identifier.
 */
#define PERF_ABI_FORMAT_BASE                                                                       \
    (PERF_ABI_SAMPLE_IDENTIFIER | PERF_ABI_SAMPLE_TID | PERF_ABI_SAMPLE_TIME | PERF_ABI_SAMPLE_CPU)
#define PERF_ABI_FORMAT_STACK                                                                      \
    (PERF_ABI_FORMAT_BASE | PERF_ABI_SAMPLE_PERIOD | PERF_ABI_SAMPLE_CALLCHAIN)
#define PERF_ABI_FORMAT_COPY                                                                       \
    (PERF_ABI_FORMAT_STACK | PERF_ABI_SAMPLE_REGS_USER | PERF_ABI_SAMPLE_STACK_USER)
#define PERF_ABI_FORMAT_SCHED (PERF_ABI_FORMAT_BASE | PERF_ABI_SAMPLE_RAW)
/* With values by PERF_ABI_READ_FORMAT, the leader's first. */
#define PERF_ABI_FORMAT_COUNTERS                                                                   \
    (PERF_ABI_FORMAT_BASE | PERF_ABI_SAMPLE_READ | PERF_ABI_SAMPLE_CALLCHAIN)
