/* SPDX-License-Identifier: MIT */
/*
 * On sched_waking: notes in the state of a thread of the target who wakes it,
 * for the switch that will tell of it. Writes a record only where the waker's
 * stack is new.
 *
 * In an interrupt the current task is just the one that was interrupted: nobody
 * is blamed then.
 *
 * Source: docs/design/0012-waits.md. Built by tools/gen-bpf into
 * sched_waking_program.h.
 */
#define WALK_PROGRAM "program/sched_waking"
/* Innermost kernel frames: two of ours and the tracepoint's; see sched_switch.bpf.c. */
#define SCHED_SKIPPED_FRAMES 3
#include "sources/bpf/sched_steps.h"

#define INTERRUPT_BITS                                                                             \
    0xff0100 /* include/linux/preempt.h: NMI, hard and served soft interrupts                      \
              */

/*
 * The kernel keeps its count in a variable of each CPU, whose address it tells
 * to nobody; but the run queue of the current task's CPU is such a variable as
 * well, and the distance between the two is known.
 */
INLINE int is_in_interrupt(struct sched_control *c, struct scratch *s, void *task)
{
    void *cfs_rq = READ_POINTER(task, KERNEL_TASK_CFS_RQ);
    /* Through memory, since verifiers let nobody calculate with such a pointer. */
    *(volatile u64 *)&s->word = READ_U64(cfs_rq, KERNEL_CFS_RQ_RQ);
    u64 address = *(volatile u64 *)&s->word + c->preempt_count_from_rq;
    s->found = 0;
    if (read_kernel(&s->found, 4, (void *)address) != 0) {
        return 1;
    }
    return (s->found & INTERRUPT_BITS) != 0;
}

/* The wakeup before this one, which found the thread awake. */
INLINE void tell_awake(struct sched_control *c, struct scratch *s, struct state *state, u32 tid,
                       u64 time_ns)
{
    s->sched.flags = SCHED_FLAG_WAKEUP | SCHED_FLAG_AWAKE | state->wake_flags;
    s->sched.time_ns = time_ns; /* what is told late must not come before what was told */
    s->sched.next_tid = tid;
    s->sched.waker_tid = state->waker_tid;
    s->sched.waker_serial = state->waker_serial;
    tell(c, s, 0);
}

/* The waker is one of ours: its stack. Returns the serial. */
INLINE u32 find_waker(void *ctx, struct sched_control *c, struct scratch *s, void *task,
                      u32 waker_tid, int trusts)
{
    struct state *waker = state_of(task, waker_tid);
    struct memos *memo = waker ? memos_of(waker) : 0;
    if (!memo) {
        return 0;
    }
    u32 kind = find_stack(ctx, c, s, task, waker, &memo->wake, trusts);
    if (kind == STACK_NONE) {
        return 0;
    }
    if (kind == STACK_NEW) {
        s->sched.flags = SCHED_FLAG_WAKEUP | SCHED_FLAG_WAKER_KNOWN | SCHED_FLAG_WAKER_STACK;
        s->sched.waker_tid = waker_tid;
        s->sched.waker_serial = memo->wake.serial;
        if (!tell(c, s, s->n_walk_bytes)) {
            memo->wake.serial = 0; /* nobody knows what it stands for */
        }
    }
    return memo->wake.serial;
}

SECTION(WALK_PROGRAM) int sched_waking(u64 *ctx)
{
    u32 zero = 0;
    struct sched_control *c = lookup(&sched_control, &zero);
    void *wakee = (void *)ctx[0];
    if (!c || !is_ours(c, wakee)) {
        return 0;
    }
    u32 cpu = current_cpu(), tid = READ_U32(wakee, KERNEL_TASK_PID);
    struct scratch *s = lookup(&scratch, &cpu);
    struct state *state = state_of(wakee, tid);
    if (!s || !state) {
        return 0;
    }
    u64 time_ns = clock_now();
    s->sched.prev_tid = 0;
    s->sched.prev_pid = 0;
    s->sched.next_pid = READ_U32(wakee, KERNEL_TASK_TGID);
    s->sched.prev_state = 0;
    s->sched.prev_cpu_time_ns = 0;
    s->sched.next_wake_ns = 0;
    s->sched.prev_serial = 0;
    s->sched.prev_syscall = SCHED_NO_SYSCALL;
    s->sched.prev_argument = 0;
    if (state->wake_ns != 0) {
        tell_awake(c, s, state, tid, time_ns);
    }
    void *task = current_task();
    u32 waker_tid = 0, flags = SCHED_FLAG_WAKER_KNOWN, serial = 0;
    if (!is_in_interrupt(c, s, task)) {
        waker_tid = READ_U32(task, KERNEL_TASK_PID);
        if (is_ours(c, task)) {
            int is_short = state->out_ns != 0 && time_ns - state->out_ns < c->short_ns;
            s->sched.time_ns = time_ns;
            s->sched.next_tid = tid;
            serial =
                find_waker(ctx, c, s, task, waker_tid, is_short && state->n_short >= c->short_run);
        } else if (waker_tid != 0) {
            flags |= SCHED_FLAG_OUTSIDER;
        }
    }
    state->wake_ns = time_ns;
    state->wake_flags = flags;
    state->waker_tid = waker_tid;
    state->waker_serial = serial;
    return 0;
}

#include "sources/bpf/sched_loops.h"
