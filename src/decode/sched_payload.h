/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * sched_payload - what the programs on the scheduler's tracepoints write
 *
 * One record per context switch that concerns the target: who gave up the CPU
 * and why (prev_*), who got it and since when it had wanted to (next_*). A wait
 * is told by both its ends. Where a stack is new, a struct walk_payload follows
 * (walk_payload.h); the serial stands for it from then on.
 *
 * Owner, Threads: values. Included by the programs themselves: no other header
 *          of ours may be included here.
 * Source:  docs/design/0012-waits.md
 * Tests:   perf_record_test.c, perf_events_test.c, tests/fuzz/fuzz_perf_record.c
 */

#include <stdint.h>

#define SCHED_FLAG_PREV 1u         /* prev is the target's: it left the CPU */
#define SCHED_FLAG_NEXT 2u         /* next is the target's: it got the CPU */
#define SCHED_FLAG_WAKEUP 4u       /* no switch: next was woken, or its waker's stack is told */
#define SCHED_FLAG_AWAKE 8u        /* WAKEUP: next was not asleep; no switch will tell of it */
#define SCHED_FLAG_WAKER_KNOWN 16u /* waker_tid says who woke next: 0 an interrupt or a timer */
#define SCHED_FLAG_OUTSIDER 32u    /* … a thread of another process */
/* A struct walk_payload follows: */
#define SCHED_FLAG_PREV_STACK 64u   /* where prev waits, named prev_serial */
#define SCHED_FLAG_NEXT_STACK 128u  /* where next has waited: kernel frames only */
#define SCHED_FLAG_WAKER_STACK 256u /* of who woke next, named waker_serial */

#define SCHED_NO_SYSCALL UINT32_MAX

struct sched_payload {
    uint32_t flags;
    uint32_t prev_tid, next_tid; /* 0 where it is not the target's */
    uint32_t prev_state;         /* 0: it still wanted to run */
    uint64_t time_ns;            /* of the switch or the wakeup */
    uint64_t prev_cpu_time_ns;   /* the scheduler's own total for prev */
    uint64_t next_wake_ns;       /* 0: nobody saw it being woken */
    uint64_t prev_argument;      /* first one of the system call that prev waits in */
    uint32_t prev_syscall;       /* its number, or SCHED_NO_SYSCALL */
    uint32_t prev_serial;        /* of its stack; 0: none */
    uint32_t waker_tid;
    uint32_t waker_serial;       /* among the stacks of the waker; 0: none */
    uint32_t prev_pid, next_pid; /* their processes; 0: the one that was asked for */
};
