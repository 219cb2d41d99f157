/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * sched_steps - what the programs on sched_switch and sched_waking share
 *
 * A switch costs the target all that is done in it, so as little as possible is
 * done. The stack of a thread that sleeps, or wakes another, is walked only
 * where it is not the one of the last time: with the same registers and the
 * same words at every place that the walk has read, a walk would find the same.
 * While a thread's waits are short, the kernel's frames are not looked at, and
 * of the words not all of the time.
 *
 * Shape:   WALK_PROGRAM is the section of the program that includes this,
 *          SCHED_SKIPPED_FRAMES says how many kernel frames it begins with.
 * Owner, Threads: interrupts are off in both tracepoints, so neither program is
 *          interrupted by the other on its CPU; one scratch per CPU is enough.
 *          A thread's state is written where it runs, and where it is woken
 *          while it sleeps.
 * Source:  docs/design/0012-waits.md, with the figures
 */

#define WALK_KEEPS_WORDS 1
#include "sources/bpf/sched_target.h"
#include "sources/bpf/walk_steps.h"

static u64 (*clock_now)(void) = (void *)BPF_FUNC_ktime_get_ns;

static long (*ring_output)(void *ring, void *data, u64 n_bytes,
                           u64 flags) = (void *)BPF_FUNC_ringbuf_output;
static u64 (*ring_query)(void *ring, u64 flags) = (void *)BPF_FUNC_ringbuf_query;

extern struct map_name states, memos, rings, lost, counts;

#define BELIEVED_AFTER 64
#define DOUBTS_MAX 8
#define ASKED_EVERY 16
#define CROWDED_STACK_BYTES 512
/* Per CPU: copies of whole stacks at a stretch, and 16 MB of them a second after that: less than
 * half a per cent of a CPU's time. */
#define SPARE_MAX_BYTES (4u << 20)
#define SPARE_NS_PER_BYTE 64
/* Of what stands before the arguments, a walk from _start may read so much. */
#define ARGUMENTS_BYTES 64
/* A record of this length brings a whole stack, and the reader comes sooner where there are such.
 */
#define WHOLE_FROM_BYTES 16384
#define WHOLE_WAKES_PART 4

/* The last stack of its kind that was told of a thread. */
struct memo {
    u64 ip, sp, fp;
    u64 argument;
    u32 syscall;
    u32 serial;     /* 0: none */
    u64 generation; /* of the tables that it was walked by */
    u32 n_words;
    u32 is_whole; /* the walk has read these, and nothing more */
    u32 n_same;   /* so many times in a row the registers were these, and the words */
    u32 n_doubts; /* so often the registers were these and the words were not */
    u64 kernel_hash;
    struct word words[WALK_MAX_WORDS];
};

/* Two threads whose numbers end alike take each other's place. */
struct state {
    u64 born;    /* start time of the thread: a tid is given to many */
    u64 out_ns;  /* it sleeps since; 0: it does not */
    u64 wake_ns; /* 0: no wakeup that was not told yet */
    u32 tid;
    u32 wake_flags;
    u32 waker_tid, waker_serial;
    u32 n_short; /* of the last waits so many in a row were short */
    u32 last_serial;
    u32 is_trusted; /* the stack of the present wait was recognised by registers alone */
    u32 is_known;   /* it has left a CPU since the programs are at work */
};

struct memos {
    u64 born;
    u64 tid;
    struct memo wait, wake;
};

_Static_assert(sizeof(struct state) == SCHED_STATE_BYTES, "the map is made by its size");
_Static_assert(sizeof(struct memos) == SCHED_MEMOS_BYTES, "the map is made by its size");

/* Never 0, but for the verifier. */
INLINE struct state *state_of(void *task, u32 tid)
{
    u64 born = READ_U64(task, KERNEL_TASK_START);
    u32 place = tid & (SCHED_STATES - 1);
    struct state *state = lookup(&states, &place);
    if (state && (state->tid != tid || state->born != born)) {
        state->born = born;
        state->out_ns = 0;
        state->wake_ns = 0;
        state->tid = tid;
        state->n_short = 0;
        state->is_known = 0;
    }
    return state;
}

INLINE struct memos *memos_of(struct state *state)
{
    u32 place = state->tid & (SCHED_MEMOS - 1);
    struct memos *found = lookup(&memos, &place);
    if (found && (found->tid != state->tid || found->born != state->born)) {
        found->tid = state->tid;
        found->born = state->born;
        found->wait.serial = found->wait.n_same = found->wait.n_doubts = 0;
        found->wake.serial = found->wake.n_same = found->wake.n_doubts = 0;
    }
    return found;
}

/* ---- is it the stack of last time? ---- */

struct comparison {
    struct memo *memo;
    struct scratch *scratch;
};

/* Loops are defined behind the program, which has to come first: sched_loops.h. */
static long compare_word(u32 turn, struct comparison *comparison);

INLINE int has_same_words(struct scratch *s, struct memo *memo)
{
    struct comparison comparison = {.memo = memo, .scratch = s};
    if (memo->n_words > WALK_MAX_WORDS) {
        return 0;
    }
    s->window_start = NO_WINDOW;
    s->is_other = 0;
    loop(memo->n_words, compare_word, &comparison, 0);
    return !s->is_other;
}

static long hash_ip(u32 turn, struct loop_argument *argument);

INLINE u64 hash_kernel_ips(struct scratch *s, u64 n_ips)
{
    struct loop_argument argument = {.scratch = s};
    s->hash = n_ips;
    loop(n_ips, hash_ip, &argument, 0);
    return s->hash;
}

/* Tables are those of one process; of its children the stack is copied. */
INLINE void walk_now(void *ctx, struct walk_control *walk, struct scratch *s, u64 user_cs,
                     int has_tables)
{
    begin_walk(walk, s);
    if (!has_tables) {
        s->end = WALK_END_PENDING;
    } else if ((user_cs & 0xffff) == COMPAT_CODE_SEGMENT) {
        follow_frame_pointers(ctx, s);
    } else if (is_without_memory(s, &s->machine)) {
        s->end = WALK_END_COMPLETE;
    } else {
        loop(MAX_USER_IPS + 1, frame, 0, 0);
        s->end = s->end ? s->end : WALK_END_LIMIT;
    }
}

INLINE void keep(struct scratch *s, struct memo *memo, struct state *state)
{
    memo->is_whole = s->end == WALK_END_COMPLETE && s->n_words <= WALK_MAX_WORDS;
    if (s->n_words > WALK_MAX_WORDS) {
        s->n_words = WALK_MAX_WORDS;
    }
    /* Through memory, so that verifiers see what is asked below. */
    u64 n_words = *(volatile u64 *)&s->n_words;
    memo->ip = s->first.ip;
    memo->sp = s->first.sp;
    memo->fp = s->first.fp;
    memo->argument = s->sched.prev_argument;
    memo->syscall = s->sched.prev_syscall;
    memo->generation = s->generation;
    memo->kernel_hash = s->kernel_hash;
    memo->n_words = n_words;
    memo->serial = ++state->last_serial;
    if (n_words <= WALK_MAX_WORDS) {
        read_kernel(memo->words, n_words * sizeof(struct word), s->words);
    }
}

/*
 * The registers are those of last time. They are believed alone where they have
 * told the truth often enough in a row, by the words: the oftener they have
 * not, the longer that takes. Even then the words are asked now and again.
 */
INLINE int is_beyond_doubt(struct memo *memo)
{
    u32 n_same = memo->n_same + 1, n_doubts = memo->n_doubts;
    memo->n_same = n_same;
    return n_same > BELIEVED_AFTER << (n_doubts < DOUBTS_MAX ? n_doubts : DOUBTS_MAX) &&
           n_same % ASKED_EVERY != 0;
}

enum { STACK_NONE, STACK_KNOWN, STACK_NEW };

struct finding {
    void *ctx;
    struct sched_control *control;
    struct scratch *scratch;
    void *task;
    struct state *state;
    struct memo *memo;
};

/*
 * How much stack goes with a walk that cannot be finished here. Where no table
 * has come yet that is every walk, of every thread, and for a while there is
 * room to spare for all of it. After that a piece has to do; and where walks
 * come so fast that they fill the ring, little: what a ring loses is worth more.
 */
INLINE u64 stack_bytes(struct sched_control *c, struct sched_counts *n)
{
    u32 cpu = current_cpu();
    void *ring = lookup(&rings, &cpu);
    u64 fill_bytes = ring ? ring_query(ring, BPF_RB_AVAIL_DATA) : 0;
    if (c->max_stack_bytes <= CROWDED_STACK_BYTES) {
        return c->max_stack_bytes;
    }
    if (fill_bytes > c->wake_bytes) {
        return CROWDED_STACK_BYTES;
    }
    u64 now_ns = clock_now();
    u64 spare_bytes = n->spare_bytes + (now_ns - n->spare_at_ns) / SPARE_NS_PER_BYTE;
    n->spare_bytes = spare_bytes < SPARE_MAX_BYTES ? spare_bytes : SPARE_MAX_BYTES;
    n->spare_at_ns = now_ns;
    return n->spare_bytes >= WALK_MAX_STACK_BYTES ? WALK_MAX_STACK_BYTES : c->max_stack_bytes;
}

INLINE void take_spare(struct sched_counts *n, u64 n_stack_bytes)
{
    u64 spare_bytes = n->spare_bytes;
    n->spare_bytes = spare_bytes > n_stack_bytes ? spare_bytes - n_stack_bytes : 0;
}

/*
 * Where the stack that sp lies in ends at the latest; 0: who knows. Of a stack
 * that glibc made, its thread's own data stand at its end, where the register of
 * thread-local storage points; of the first thread's, the program's arguments.
 * Neither lies inside any stack.
 */
INLINE u64 stack_end(void *task, u64 sp)
{
    u64 tls = READ_U64(task, KERNEL_TASK_TLS);
    u64 arguments = READ_U64(READ_POINTER(task, KERNEL_TASK_MM), KERNEL_MM_STACK);
    u64 end = arguments > sp ? arguments + ARGUMENTS_BYTES : 0;
    return tls > sp && (end == 0 || tls < end) ? tls : end;
}

/* What the registers do not tell. */
INLINE u32 find_by_frames(struct finding *f)
{
    struct scratch *s = f->scratch;
    struct memo *memo = f->memo;
    u32 zero = 0, cpu = current_cpu();
    struct walk_control *walk = lookup(&control, &zero);
    struct sched_counts *n = lookup(&counts, &cpu);
    if (!walk || !n) {
        return STACK_NONE;
    }
    int has_words = s->is_same && has_same_words(s, memo);
    if (has_words && s->trusts) {
        n->n_compared++;
        f->state->is_trusted = 1;
        return STACK_KNOWN;
    }
    if (s->is_same && !has_words) {
        memo->n_same = 0;
        memo->n_doubts++;
    }
    u64 *user = read_registers(s, f->task);
    if (!user) {
        return STACK_NONE;
    }
    u64 user_cs = user[REGS_CS], n_kernel_ips = 0;
    if (!f->control->no_kernel) {
        long n_bytes = get_stack(f->ctx, s->ips, WALK_MAX_KERNEL_IPS * 8, SCHED_SKIPPED_FRAMES);
        n_kernel_ips = n_bytes > 0 ? (u64)n_bytes / 8 & 255 : 0;
    }
    s->kernel_hash = hash_kernel_ips(s, n_kernel_ips);
    /* What the walk has not read, nobody can compare. */
    if (has_words && memo->is_whole && s->kernel_hash == memo->kernel_hash) {
        n->n_compared++;
        return STACK_KNOWN;
    }
    s->header.magic = WALK_PAYLOAD_MAGIC;
    s->header.period_ns = 0;
    s->header.tid = 0;
    s->header.flags = s->is_after_syscall ? WALK_FLAG_AFTER_SYSCALL : 0;
    s->header.n_kernel_ips = n_kernel_ips;
    walk_now(f->ctx, walk, s, user_cs, READ_U32(f->task, KERNEL_TASK_TGID) == f->control->pid);
    keep(s, memo, f->state);
    n->n_walked++;
    s->n_walk_bytes = close_walk(s, &s->machine, s->end, stack_bytes(f->control, n),
                                 stack_end(f->task, s->machine.sp));
    take_spare(n, s->header.n_stack_bytes);
    return STACK_NEW;
}

static long find_slowly(u32 turn, struct finding *f);

/*
 * The stack of the current task, which is in the kernel: STACK_NEW where it was
 * walked and stands behind s->header, s->n_walk_bytes long. *memo has its serial.
 */
INLINE u32 find_stack(void *ctx, struct sched_control *c, struct scratch *s, void *task,
                      struct state *state, struct memo *memo, int trusts)
{
    u32 zero = 0;
    struct walk_control *walk = lookup(&control, &zero);
    u64 *registers = task_registers(task);
    s->n_walk_bytes = 0;
    s->sched.prev_syscall = SCHED_NO_SYSCALL;
    s->sched.prev_argument = 0;
    if (!walk) {
        return STACK_NONE;
    }
    s->machine.ip = s->first.ip = registers[REGS_IP];
    s->machine.sp = s->first.sp = registers[REGS_SP];
    s->machine.fp = s->first.fp = registers[REGS_FP];
    u64 orig_ax = registers[REGS_ORIG_AX];
    s->is_after_syscall = orig_ax != (u64)-1;
    if (s->is_after_syscall) {
        s->sched.prev_syscall = (u32)orig_ax;
        s->sched.prev_argument = registers[REGS_DI];
    }
    int is_same = memo->serial && memo->ip == s->first.ip && memo->sp == s->first.sp &&
                  memo->fp == s->first.fp && memo->syscall == s->sched.prev_syscall &&
                  memo->argument == s->sched.prev_argument &&
                  memo->generation == *(volatile u64 *)&walk->generation;
    if (is_same && is_beyond_doubt(memo) && trusts) {
        u32 cpu = current_cpu();
        struct sched_counts *n = lookup(&counts, &cpu);
        if (n) {
            n->n_trusted++;
        }
        state->is_trusted = 1;
        return STACK_KNOWN;
    }
    struct finding finding = {
        .ctx = ctx,
        .control = c,
        .scratch = s,
        .task = task,
        .state = state,
        .memo = memo,
    };
    s->is_same = is_same;
    s->trusts = trusts;
    loop(1, find_slowly, &finding, 0);
    return s->kind;
}

/* Writes s->sched out, and behind it what stands in s->header where n_walk_bytes is not 0. Returns
 * whether there was room. */
INLINE int tell(struct sched_control *c, struct scratch *s, u64 n_walk_bytes)
{
    u64 n_bytes = sizeof(s->sched) + n_walk_bytes;
    u32 cpu = current_cpu();
    void *ring = lookup(&rings, &cpu);
    if (!ring || n_bytes > MAX_RECORD_BYTES + sizeof(s->sched)) {
        return 0;
    }
    u64 wake_bytes = c->wake_bytes / (n_walk_bytes > WHOLE_FROM_BYTES ? WHOLE_WAKES_PART : 1);
    u64 is_full = ring_query(ring, BPF_RB_AVAIL_DATA) > wake_bytes;
    if (ring_output(ring, &s->sched, n_bytes, is_full ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP) !=
        0) {
        u64 *n_lost = lookup(&lost, &cpu);
        if (n_lost) {
            *n_lost += 1;
        }
        return 0;
    }
    return 1;
}
