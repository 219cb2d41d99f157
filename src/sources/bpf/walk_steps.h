/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * walk_steps - the walk of a user stack inside the kernel, x86-64
 *
 * What the programs of this folder share: each of them fills a struct scratch
 * with the registers to begin with, walks, and writes the result out.
 *
 * The stack is read while its thread stands where it stands, so its depth in
 * bytes does not matter and nothing has to be copied. Rows are those of
 * unwind/cfi_table. A window of stack bytes serves many frames, and the rows of
 * addresses that were seen before come from a small table per CPU: without
 * both a walk costs three times as much.
 *
 * Frames are walked by bpf_loop() (Linux 5.17), whose body is verified once; a
 * loop that the verifier has to follow took a second to load.
 *
 * Owner, Threads: one scratch per CPU and program; nothing that uses it can be
 *          interrupted by another that does.
 * Source:  docs/design/0006-unwinding.md
 */

#include "sources/bpf/program.h"

extern struct map_name control, ranges, tables, scratch;

#define MAX_USER_IPS                                                                               \
    7400 /* with a page of stack it fits into a record; a deeper stack is finished outside */
#define MAX_IPS 8192
#define WINDOW_BYTES 1024
#define PAGE_BYTES 4096
#define MAX_RECORD_BYTES 65000 /* with what the kernel puts before it, below 64 KiB */
#define CACHE_ENTRIES 1024
#define FRAME_MAX_BYTES (64ull << 20)
#define NO_WINDOW 0x8000000000000000ull
#define COMPAT_CODE_SEGMENT 0x23 /* __USER32_CS: 32-bit code */

/* As unwind/cfi_row.h. */
enum {
    ROW_NONE,
    ROW_END,
    ROW_SP,
    ROW_FP,
    ROW_SP_DEREF,
    ROW_FP_DEREF,
    ROW_PLT,
    ROW_SIGNAL,
    ROW_UNSUPPORTED,
    ROW_SP_DEREF_8
};

struct machine {
    u64 ip, sp, fp;
};

struct cached {
    u64 ip;
    u64 generation;
    u64 row;
    u64 state; /* enum walk_range_state */
};

struct word {
    u64 address, value;
};

struct scratch {
    struct sched_payload sched; /* of the scheduler's programs; behind it a payload of a walk */
    struct walk_payload header;
    u64 ips[MAX_IPS]; /* kernel, then user ones; behind them the stack bytes */
    unsigned char stack[WALK_MAX_STACK_BYTES];
    /* Not written out: */
    u64 generation;
    u64 window_start;
    u64 n_ips;
    u64 end; /* enum walk_end; 0: goes on */
    u64 word;
    u64 found;              /* while words are compared */
    u64 kind, n_walk_bytes; /* what find_stack() has found */
    struct {
        u64 sp;
        u64 to; /* bytes behind ips */
        u64 max_bytes, n_bytes, n_read;
    } copy;
    u64 hash, is_other; /* of loops */
    u32 is_same, trusts;
    u32 prev_state, is_prev_ours, is_next_ours; /* of a switch */
    struct machine machine;
    struct machine first; /* where the walk began */
    u64 kernel_hash;      /* of the kernel frames */
    u64 is_exact;
    u64 has_frame; /* fp was saved by a frame, so it is no number of the code's own */
    u64 is_after_syscall;
    u64 n_words; /* that the walk has read, the first WALK_MAX_WORDS of them: */
    struct word words[WALK_MAX_WORDS];
    unsigned char window[WINDOW_BYTES];
    struct cached cache[CACHE_ENTRIES];
};

_Static_assert(sizeof(struct scratch) == WALK_SCRATCH_BYTES, "the map is made by its size");

/* One word of the stack; 0: it is not there. */
INLINE int find_word(struct scratch *s, u64 address, u64 *ret_word)
{
    u64 offset = address - s->window_start;
    if (address & 7) {
        return 0;
    }
    if (offset > WINDOW_BYTES - 8) {
        /* A read that fails leaves zeros behind. */
        s->window_start = NO_WINDOW;
        if (read_user(s->window, WINDOW_BYTES, (void *)address) == 0) {
            s->window_start = address;
            offset = 0;
        } else {
            /* Not into a variable: some verifiers lose track of a stack that a helper wrote. */
            if (read_user(&s->word, 8, (void *)address) != 0) {
                return 0;
            }
            *ret_word = s->word;
            return 1;
        }
    }
    offset &= WINDOW_BYTES - 8;
    *ret_word = *(u64 *)(s->window + offset);
    return 1;
}

INLINE int read_word(struct scratch *s, u64 address, u64 *ret_word)
{
    int is_there = find_word(s, address, ret_word);
    if (WALK_KEEPS_WORDS && is_there) {
        u64 at = s->n_words++;
        if (at < WALK_MAX_WORDS) {
            s->words[at].address = address;
            s->words[at].value = *ret_word;
        }
    }
    return is_there;
}

INLINE struct walk_range *find_range(struct walk_control *c, u64 ip)
{
    u64 bank_and_count = *(volatile u64 *)&c->bank_and_count;
    u32 first = (bank_and_count >> 32) ? WALK_MAX_RANGES : 0;
    u32 low = 0, high = (u32)bank_and_count;
#pragma clang loop unroll(disable)
    for (int i = 0; i < 13; i++) {
        if (low >= high) {
            break;
        }
        u32 middle = (low + high) / 2, key = first + middle;
        struct walk_range *range = lookup(&ranges, &key);
        if (!range) {
            return 0;
        }
        if (ip < range->start_ip) {
            high = middle;
        } else if (ip >= range->end_ip) {
            low = middle + 1;
        } else {
            return range;
        }
    }
    return 0;
}

/* The last row at or before pc; 0 words are rows of ROW_NONE. */
INLINE u64 find_row(struct walk_range *range, u64 ip)
{
    u64 pc = ip - range->base_ip;
    u32 page = pc >> WALK_PAGE_SHIFT, word, key = range->table;
    if (pc >> 32 || page >= range->n_pages) {
        return 0;
    }
    void *table = lookup(&tables, &key);
    if (!table) {
        return 0;
    }
    word = page / 2;
    u32 *pair = lookup(table, &word);
    if (!pair) {
        return 0;
    }
    u32 low = page & 1 ? pair[1] : pair[0], high;
    if (page & 1) {
        word++;
        pair = lookup(table, &word);
        if (!pair) {
            return 0;
        }
        high = pair[0];
    } else {
        high = pair[1];
    }
    /* The row is among low … high. */
#pragma clang loop unroll(disable)
    for (int i = 0; i < 10; i++) {
        if (low >= high) {
            break;
        }
        u32 middle = (low + high + 1) / 2;
        word = range->first_row + middle;
        u32 *row = lookup(table, &word);
        if (!row) {
            return 0;
        }
        if (row[0] <= (u32)pc) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    word = range->first_row + low;
    u64 *row = lookup(table, &word);
    return row ? *row : 0;
}

/* State in the upper part: enum walk_range_state, or 3: nothing is mapped there. */
#define STATE_UNMAPPED 3

INLINE u32 code_at(struct walk_control *c, struct scratch *s, u64 ip, u64 *ret_row)
{
    struct cached *cached = &s->cache[(ip ^ (ip >> 10)) & (CACHE_ENTRIES - 1)];
    if (cached->ip == ip && cached->generation == s->generation) {
        *ret_row = cached->row;
        return cached->state;
    }
    struct walk_range *range = find_range(c, ip);
    if (!range) {
        return STATE_UNMAPPED;
    }
    u32 state = range->state;
    *ret_row = state == WALK_RANGE_TABLE ? find_row(range, ip) : 0;
    cached->ip = ip;
    cached->generation = s->generation;
    cached->row = *ret_row;
    cached->state = state;
    return state;
}

INLINE u32 leave_by_frame_pointer(struct scratch *s, struct machine *m)
{
    u64 fp, ip;
    if (m->fp == 0) {
        return s->has_frame ? WALK_END_COMPLETE : WALK_END_NO_TABLE;
    }
    if (m->fp < m->sp || (m->fp & 7) || m->fp - m->sp > FRAME_MAX_BYTES) {
        return WALK_END_NO_TABLE;
    }
    if (!read_word(s, m->fp, &fp) || !read_word(s, m->fp + 8, &ip)) {
        return WALK_END_MEMORY;
    }
    if (ip == 0) {
        return fp == 0 ? WALK_END_COMPLETE : WALK_END_NO_TABLE;
    }
    m->sp = m->fp + 16;
    m->fp = fp;
    m->ip = ip;
    s->is_exact = 0;
    s->has_frame = 1;
    return 0;
}

INLINE u32 leave_signal_frame(struct scratch *s, struct machine *m)
{
    u64 ip, sp, fp;
    /* struct ucontext stands at sp: rbp, rsp and rip of struct sigcontext. */
    if (!read_word(s, m->sp + 120, &fp) || !read_word(s, m->sp + 160, &sp) ||
        !read_word(s, m->sp + 168, &ip)) {
        return WALK_END_MEMORY;
    }
    m->ip = ip;
    m->sp = sp;
    m->fp = fp;
    s->is_exact = 1;
    s->has_frame = 0;
    return 0;
}

/* One frame outwards; 0, or why not. */
INLINE u32 step(struct scratch *s, struct machine *m, u64 row)
{
    s64 cfa_words = (s64)(row << 16) >> 48, fp_words = (s64)row >> 56;
    u32 kind = (row >> 48) & 0xff;
    u64 cfa, ip, fp = m->fp;
    if (kind == ROW_NONE) {
        return leave_by_frame_pointer(s, m);
    }
    if (kind == ROW_END) {
        return WALK_END_COMPLETE;
    }
    if (kind == ROW_SIGNAL) {
        return leave_signal_frame(s, m);
    }
    if (kind == ROW_SP) {
        cfa = m->sp + cfa_words * 8;
    } else if (kind == ROW_FP) {
        cfa = m->fp + cfa_words * 8;
    } else if (kind == ROW_PLT) {
        cfa = m->sp + 8 + ((m->ip & 15) >= (u64)cfa_words ? 8 : 0);
    } else if (kind == ROW_SP_DEREF || kind == ROW_FP_DEREF || kind == ROW_SP_DEREF_8) {
        u64 slot = (kind == ROW_FP_DEREF ? m->fp : m->sp) + cfa_words * 8;
        if (!read_word(s, slot, &cfa)) {
            return WALK_END_MEMORY;
        }
        cfa += kind == ROW_SP_DEREF_8 ? 8 : 0;
    } else {
        return WALK_END_UNSUPPORTED;
    }
    if (cfa <= m->sp || cfa - m->sp > FRAME_MAX_BYTES) {
        return WALK_END_MEMORY;
    }
    /* From the CFA downwards, or from the register that it counts from upwards: cfi_row.h. */
    u64 base = kind == ROW_FP || kind == ROW_FP_DEREF ? m->fp : m->sp;
    u64 fp_slot = fp_words > 0 ? base + fp_words * 8 - 8 : cfa + fp_words * 8;
    /* The lower slot first: the window begins where the first miss is. */
    if (fp_words != 0 && !read_word(s, fp_slot, &fp)) {
        return WALK_END_MEMORY;
    }
    if (!read_word(s, cfa - 8, &ip)) {
        return WALK_END_MEMORY;
    }
    m->ip = ip;
    m->sp = cfa;
    m->fp = fp;
    s->is_exact = 0;
    if (fp_words != 0) {
        s->has_frame = 1;
    }
    return 0;
}

/*
 * The kind of the row behind a system call instruction can be that of other
 * code: a thread inside sigreturn stands behind the last byte of its function.
 */
INLINE u32 code_of_innermost(struct walk_control *c, struct scratch *s, u64 ip, u64 *ret_row)
{
    u32 state = code_at(c, s, ip, ret_row);
    if (s->is_after_syscall) {
        u64 before = 0;
        u32 state_before = code_at(c, s, ip - 1, &before);
        u32 kind = (*ret_row >> 48) & 0xff, kind_before = (before >> 48) & 0xff;
        if (state_before == WALK_RANGE_TABLE && (kind == ROW_NONE || kind_before == ROW_SIGNAL)) {
            *ret_row = before;
            return state_before;
        }
    }
    return state;
}

INLINE u32 walk_one(struct walk_control *c, struct scratch *s, struct machine *m)
{
    u64 row = 0;
    u64 n_ips = s->n_ips;
    u32 n_kernel_ips = s->header.n_kernel_ips;
    int is_innermost = n_ips == n_kernel_ips;
    u32 state = is_innermost ? code_of_innermost(c, s, m->ip, &row)
                             : code_at(c, s, m->ip - (s->is_exact ? 0 : 1), &row);
    if (state == WALK_RANGE_PENDING) {
        return WALK_END_PENDING;
    }
    if (state == STATE_UNMAPPED) {
        return WALK_END_NO_CODE;
    }
    if (n_ips - n_kernel_ips >= MAX_USER_IPS) {
        return WALK_END_LIMIT;
    }
    /* Interrupted code is given as a return address is: one byte further. */
    s->ips[n_ips & (MAX_IPS - 1)] = m->ip + (s->is_exact && !is_innermost ? 1 : 0);
    u32 end = step(s, m, row);
    if (end == 0 || end == WALK_END_COMPLETE) {
        s->n_ips = n_ips + 1;
    }
    return end;
}

/* Bodies of loops are defined behind the program, which has to come first: walk_loops.h. */
static long frame(u32 turn, void *unused);
/* What a loop changes lies in the scratch: verifiers follow each value that lies on the stack. */
struct loop_argument {
    struct scratch *scratch;
};
static long copy_page(u32 turn, struct loop_argument *argument);

/*
 * Page by page, as far as the stack goes. The first page may be one that was
 * never written to, which is what its thread is in the kernel for: zeros.
 */
INLINE u64 copy_stack(struct scratch *s, u64 max_bytes, u64 sp, u64 first_ip)
{
    struct loop_argument argument = {.scratch = s};
    s->copy.sp = sp;
    s->copy.to = first_ip * 8;
    s->copy.max_bytes = max_bytes;
    s->copy.n_bytes = 0;
    s->copy.n_read = 0;
    loop(WALK_MAX_STACK_BYTES / PAGE_BYTES + 1, copy_page, &argument, 0);
    return s->copy.n_read;
}

/*
 * The payload behind s->header; how long both are together. Bytes at
 * max_stack_end and behind are not the thread's stack.
 */
INLINE u64 close_walk(struct scratch *s, struct machine *m, u32 end, u64 max_stack_bytes,
                      u64 max_stack_end)
{
    u64 n_ips = s->n_ips & (MAX_IPS - 1), n_stack_bytes = 0;
    struct walk_payload *h = &s->header;
    h->end = end;
    h->n_user_ips = n_ips - h->n_kernel_ips;
    h->flags = (h->flags & (WALK_FLAG_AFTER_SYSCALL | WALK_FLAG_FRAME_POINTERS)) |
               (s->is_exact ? 0 : WALK_FLAG_IS_CALLER);
    if (end != WALK_END_COMPLETE) {
        /* Behind so many frames the rest is known from earlier, or can be read at leisure. */
        u64 max_bytes = end == WALK_END_LIMIT ? PAGE_BYTES : max_stack_bytes;
        if (m->sp < max_stack_end && max_bytes > max_stack_end - m->sp) {
            max_bytes = max_stack_end - m->sp;
        }
        s->ips[n_ips] = m->ip;
        s->ips[n_ips + 1] = m->sp;
        s->ips[n_ips + 2] = m->fp;
        n_ips += WALK_PAYLOAD_REGISTERS;
        n_stack_bytes = copy_stack(s, max_bytes, m->sp, n_ips);
    }
    h->n_stack_bytes = n_stack_bytes;
    u64 n_bytes = sizeof(*h) + n_ips * 8 + n_stack_bytes;
    if (n_bytes > MAX_RECORD_BYTES) {
        h->n_stack_bytes = 0;
        n_bytes = sizeof(*h) + n_ips * 8;
    }
    return n_bytes;
}

/* Words of struct pt_regs, as the kernel leaves them on its stack when it is entered. */
enum { REGS_FP = 4, REGS_DI = 14, REGS_ORIG_AX = 15, REGS_IP = 16, REGS_CS = 17, REGS_SP = 19 };
#define REGS_WORDS 21

/* The user's registers of `task`, which is in the kernel; 0: it has none. */
INLINE u64 *read_registers(struct scratch *s, void *task)
{
    u64 *user = (u64 *)s->window;
    if (read_kernel(user, REGS_WORDS * 8, task_registers(task)) != 0 || (user[REGS_CS] & 3) != 3) {
        return 0;
    }
    return user;
}

INLINE void begin_walk(struct walk_control *c, struct scratch *s)
{
    s->n_ips = s->header.n_kernel_ips;
    s->generation = *(volatile u64 *)&c->generation;
    s->header.generation = s->generation;
    s->window_start = NO_WINDOW;
    s->has_frame = 0;
    s->is_exact = 1;
    s->n_words = 0;
    s->end = 0;
}

/* Tables are those of 64-bit code; the kernel follows the frame pointers of other code. */
INLINE void follow_frame_pointers(void *ctx, struct scratch *s)
{
    u64 n_kernel_ips = s->n_ips & 255;
    long n_bytes = get_stack(ctx, &s->ips[n_kernel_ips], WALK_MAX_COMPAT_IPS * 8, BPF_F_USER_STACK);
    s->header.flags |= WALK_FLAG_FRAME_POINTERS;
    s->n_ips = n_kernel_ips + (n_bytes > 0 ? (u64)n_bytes / 8 : 0);
    s->end = WALK_END_COMPLETE;
}

/*
 * In the middle of exec or exit the registers are those of an address space
 * that is gone. A stack alone that is not there is one that grows: its
 * return address lies in a page that was written before.
 */
INLINE int is_without_memory(struct scratch *s, struct machine *m)
{
    return read_user(s->window, 8, (void *)m->sp) != 0 &&
           read_user(s->window, 1, (void *)m->ip) != 0;
}
