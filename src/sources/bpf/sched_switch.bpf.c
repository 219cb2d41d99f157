/* SPDX-License-Identifier: MIT */
/*
 * On sched_switch: one record per switch of the target. It tells the end of
 * next's wait with the wakeup that ended it, and the begin of prev's with its
 * stack.
 *
 * A wait whose stack was told by its registers alone, and that then turns out
 * to be long, has its kernel frames told when it ends: the sleeper's kernel
 * stack still stands as it stood.
 *
 * Source: docs/design/0012-waits.md. Built by tools/gen-bpf into
 * sched_switch_program.h.
 */
#define WALK_PROGRAM "program/sched_switch"
/* Innermost kernel frames: two of ours (find_slowly() is one of them), the tracepoint's, and on the
 * way of every sleep __schedule() and schedule(). Where others look at the tracepoint as well it is
 * one more, which rules for waits know. */
#define SCHED_SKIPPED_FRAMES 5
#include "sources/bpf/sched_steps.h"

static long (*get_task_stack)(void *task, void *to, u32 n_bytes,
                              u64 flags) = (void *)BPF_FUNC_get_task_stack;

/* Out of memory, whatever is known of it. */
#define AGAIN(word) (*(volatile u32 *)&(word))

#define TASK_DEAD 0x80 /* include/linux/sched.h */

/* A wakeup that was seen before the thread slept ended that sleep if the two raced; an older one
 * found it awake. */
#define RACE_NS 1000000

/* The wakeup that no switch will tell of. */
INLINE void tell_awake(struct sched_control *c, struct scratch *s, struct state *state, u32 tid,
                       u64 time_ns)
{
    s->sched.flags = SCHED_FLAG_WAKEUP | SCHED_FLAG_AWAKE | state->wake_flags;
    s->sched.time_ns = time_ns; /* what is told late must not come before what was told */
    s->sched.prev_tid = 0;
    s->sched.next_tid = tid;
    s->sched.waker_tid = state->waker_tid;
    s->sched.waker_serial = state->waker_serial;
    state->wake_ns = 0;
    tell(c, s, 0);
}

/*
 * It sleeps, as far as we know, and leaves the CPU: the kernel is silent about
 * a switch now and then. When it got the CPU is told by its CPU time; who woke
 * it, and when, only here.
 */
INLINE void tell_missed(struct sched_control *c, struct scratch *s, struct state *state, void *prev,
                        u64 time_ns)
{
    s->sched.flags = SCHED_FLAG_NEXT | state->wake_flags;
    s->sched.time_ns = time_ns;
    s->sched.prev_tid = 0;
    s->sched.prev_pid = 0;
    s->sched.next_tid = state->tid;
    s->sched.next_pid = READ_U32(prev, KERNEL_TASK_TGID);
    s->sched.next_wake_ns = state->wake_ns > state->out_ns ? state->wake_ns : state->out_ns;
    s->sched.waker_tid = state->waker_tid;
    s->sched.waker_serial = state->waker_serial;
    tell(c, s, 0);
    state->out_ns = 0;
    state->wake_ns = 0;
}

/*
 * Calls of 32-bit code have other numbers, and their arguments elsewhere. A
 * kernel thread that is one of the target's has the registers of whoever made
 * it, but for the place.
 */
INLINE int tells_no_call(struct scratch *s, void *prev)
{
    u64 *registers = task_registers(prev);
    return s->first.ip == 0 || (registers[REGS_CS] & 0xffff) == COMPAT_CODE_SEGMENT;
}

/* Returns bytes of the stack that stands behind s->sched. */
INLINE u64 leave(void *ctx, struct sched_control *c, struct scratch *s, void *prev, u32 prev_state,
                 u64 time_ns)
{
    u32 tid = READ_U32(prev, KERNEL_TASK_PID);
    struct state *state = state_of(prev, tid);
    u64 n_walk_bytes = 0;
    u32 flags = SCHED_FLAG_PREV, serial = 0;
    s->sched.prev_syscall = SCHED_NO_SYSCALL;
    s->sched.prev_argument = 0;
    if (state) {
        state->is_known = 1;
        if (state->out_ns != 0 && state->wake_ns != 0 && state->wake_ns < time_ns) {
            tell_missed(c, s, state, prev, time_ns);
        }
    }
    if (state && prev_state != 0 && !(prev_state & TASK_DEAD)) {
        /* Another CPU may write a time that is later than ours. */
        u64 wake_ns = *(volatile u64 *)&state->wake_ns;
        if (wake_ns != 0 && wake_ns + RACE_NS < time_ns) {
            s->sched.next_pid = READ_U32(prev, KERNEL_TASK_TGID);
            tell_awake(c, s, state, tid, time_ns);
        }
        state->is_trusted = 0;
        struct memos *memo = memos_of(state);
        u32 kind =
            memo ? find_stack(ctx, c, s, prev, state, &memo->wait, state->n_short >= c->short_run)
                 : STACK_NONE;
        if (memo && kind != STACK_NONE) {
            serial = memo->wait.serial;
        }
        if (kind == STACK_NEW) {
            flags |= SCHED_FLAG_PREV_STACK;
            n_walk_bytes = s->n_walk_bytes;
        }
        if (memo && tells_no_call(s, prev)) {
            s->sched.prev_syscall = SCHED_NO_SYSCALL;
            s->sched.prev_argument = 0;
        }
        state->out_ns = time_ns;
    }
    s->sched.flags = flags;
    s->sched.prev_tid = tid;
    s->sched.prev_pid = READ_U32(prev, KERNEL_TASK_TGID);
    s->sched.prev_state = prev_state;
    s->sched.prev_serial = serial;
    s->sched.prev_cpu_time_ns = READ_U64(prev, KERNEL_TASK_CPU_TIME);
    return n_walk_bytes;
}

/* Nobody knows the stack that its serial stands for: it was lost. The next wait tells it again. */
INLINE void forget_stack(void *prev)
{
    struct state *state = state_of(prev, READ_U32(prev, KERNEL_TASK_PID));
    struct memos *memo = state ? memos_of(state) : 0;
    if (memo) {
        memo->wait.serial = 0;
    }
}

/* Kernel frames of the wait that ends, where they stand in no record yet; bytes. */
INLINE u64 find_late_stack(struct sched_control *c, struct scratch *s, void *next,
                           struct state *state, u64 blocked_ns)
{
    if (c->no_kernel || !state->is_trusted || blocked_ns < c->short_ns) {
        return 0;
    }
    long n_bytes = get_task_stack(next, s->ips, WALK_MAX_KERNEL_IPS * 8, 0);
    if (n_bytes <= 0) {
        return 0;
    }
    u64 n_ips = ((u64)n_bytes / 8) & 255;
    u32 cpu = current_cpu();
    struct sched_counts *n = lookup(&counts, &cpu);
    if (n) {
        n->n_late++;
    }
    s->header.magic = WALK_PAYLOAD_MAGIC;
    s->header.period_ns = 0;
    s->header.tid = 0;
    s->header.flags = 0;
    s->header.generation = 0;
    s->header.end = WALK_END_COMPLETE;
    s->header.n_kernel_ips = n_ips;
    s->header.n_user_ips = 0;
    s->header.n_stack_bytes = 0;
    return sizeof(s->header) + n_ips * 8;
}

/* Returns bytes of the stack that stands behind s->sched. */
INLINE u64 enter(struct sched_control *c, struct scratch *s, void *next, u64 time_ns)
{
    u32 tid = READ_U32(next, KERNEL_TASK_PID);
    struct state *state = state_of(next, tid);
    s->sched.flags |= SCHED_FLAG_NEXT;
    s->sched.next_tid = tid;
    s->sched.next_pid = READ_U32(next, KERNEL_TASK_TGID);
    /* Of a sleep that began before anybody looked, only its end is told. */
    if (!state || (state->out_ns == 0 && state->is_known)) {
        return 0;
    }
    u64 wake_ns = state->wake_ns, until_ns = time_ns, blocked_ns;
    if (wake_ns != 0) {
        s->sched.flags |= state->wake_flags;
        s->sched.next_wake_ns = wake_ns > state->out_ns ? wake_ns : state->out_ns;
        s->sched.waker_tid = state->waker_tid;
        s->sched.waker_serial = state->waker_serial;
        until_ns = s->sched.next_wake_ns;
    }
    blocked_ns = until_ns - state->out_ns;
    u64 n_walk_bytes = find_late_stack(c, s, next, state, blocked_ns);
    s->sched.flags |= n_walk_bytes ? SCHED_FLAG_NEXT_STACK : 0;
    if (state->out_ns == 0) {
        blocked_ns = ~0ull;
    }
    state->n_short = blocked_ns < c->short_ns ? state->n_short + 1 : 0;
    state->out_ns = 0;
    state->wake_ns = 0;
    return n_walk_bytes;
}

SECTION(WALK_PROGRAM) int sched_switch(u64 *ctx)
{
    u32 zero = 0;
    struct sched_control *c = lookup(&sched_control, &zero);
    void *prev = (void *)ctx[1], *next = (void *)ctx[2];
    if (!c) {
        return 0;
    }
    if (!has_our_pid(c, prev) && !has_our_pid(c, next)) {
        return 0;
    }
    u32 cpu = current_cpu();
    struct scratch *s = lookup(&scratch, &cpu);
    if (!s) {
        return 0;
    }
    /* Through memory: what verifiers know of an answer, they follow through all that comes. */
    s->is_prev_ours = is_ours(c, prev);
    s->is_next_ours = is_ours(c, next);
    if (!AGAIN(s->is_prev_ours) && !AGAIN(s->is_next_ours)) {
        return 0;
    }
    u64 time_ns = clock_now(), n_walk_bytes = 0;
    s->sched.flags = 0;
    s->sched.prev_tid = 0;
    s->sched.prev_pid = 0;
    /* One that is preempted on its way to sleep still wants to run. */
    s->prev_state = ctx[0] ? 0 : (u32)ctx[3];
    if (AGAIN(s->is_prev_ours)) {
        n_walk_bytes = leave(ctx, c, s, prev, AGAIN(s->prev_state), time_ns);
    }
    s->sched.time_ns = time_ns;
    s->sched.next_tid = 0;
    s->sched.next_pid = 0;
    s->sched.next_wake_ns = 0;
    s->sched.waker_tid = 0;
    s->sched.waker_serial = 0;
    if (AGAIN(s->is_next_ours)) {
        if (n_walk_bytes != 0) {
            /* Stacks can be new on both sides, and a record has room for one. */
            if (!tell(c, s, n_walk_bytes)) {
                forget_stack(prev);
            }
            s->sched.flags = 0;
            s->sched.prev_tid = 0;
            s->sched.prev_pid = 0;
        }
        n_walk_bytes = enter(c, s, next, time_ns);
    }
    int is_told = tell(c, s, n_walk_bytes);
    if (!is_told && (s->sched.flags & SCHED_FLAG_PREV_STACK)) {
        forget_stack(prev);
    }
    return 0;
}

#include "sources/bpf/sched_loops.h"
