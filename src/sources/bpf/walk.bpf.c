/* SPDX-License-Identifier: MIT */
/*
 * Attached to the sampling event of each CPU: writes one struct walk_payload
 * per sample of the target and drops the sample itself.
 *
 * Source: docs/design/0006-unwinding.md. Built by tools/gen-bpf into
 * walk_program.h.
 */
#include <linux/bpf_perf_event.h>

#define WALK_KEEPS_WORDS 0
#define WALK_PROGRAM "program/sample"
#include "sources/bpf/walk_steps.h"

static long (*output)(void *ctx, void *map, u64 flags, void *data,
                      u64 n_bytes) = (void *)BPF_FUNC_perf_event_output;

extern struct map_name outputs;

INLINE int finish(void *ctx, struct walk_control *c, struct scratch *s, u32 end)
{
    u64 n_bytes = close_walk(s, &s->machine, end, c->max_stack_bytes, 0);
    output(ctx, &outputs, BPF_F_CURRENT_CPU, &s->header, n_bytes);
    return 0;
}

SECTION(WALK_PROGRAM) int sample(struct bpf_perf_event_data *ctx)
{
    u32 zero = 0, cpu = current_cpu();
    struct walk_control *c = lookup(&control, &zero);
    if (!c || (u32)(current_pid_tgid() >> 32) != c->pid) {
        return 0;
    }
    struct scratch *s = lookup(&scratch, &cpu);
    if (!s) {
        return 0;
    }
    struct walk_payload *h = &s->header;
    struct machine *m = &s->machine;
    u64 user_cs = *(volatile u64 *)((char *)ctx + 136);
    int is_user = (user_cs & 3) == 3;
    u64 n_kernel_ips = 0;
    h->magic = WALK_PAYLOAD_MAGIC;
    h->period_ns = ctx->sample_period;
    h->tid = (u32)current_pid_tgid();
    h->flags = 0;
    s->is_after_syscall = 0;
    if (is_user) {
        m->ip = ctx->regs.rip;
        m->sp = ctx->regs.rsp;
        m->fp = ctx->regs.rbp;
    } else {
        u64 *user = read_registers(s, current_task());
        if (!user) {
            return 0;
        }
        m->ip = user[REGS_IP];
        m->sp = user[REGS_SP];
        m->fp = user[REGS_FP];
        user_cs = user[REGS_CS];
        s->is_after_syscall = user[REGS_ORIG_AX] != (u64)-1;
        h->flags = s->is_after_syscall ? WALK_FLAG_AFTER_SYSCALL : 0;
        if (!c->no_kernel) {
            long n_bytes = get_stack(ctx, s->ips, WALK_MAX_KERNEL_IPS * 8, 0);
            n_kernel_ips = n_bytes > 0 ? (u64)n_bytes / 8 : 0;
        }
    }
    h->n_kernel_ips = n_kernel_ips & 255;
    begin_walk(c, s);
    if ((user_cs & 0xffff) == COMPAT_CODE_SEGMENT) {
        follow_frame_pointers(ctx, s);
        return finish(ctx, c, s, WALK_END_COMPLETE);
    }
    if (!is_user && is_without_memory(s, m)) {
        return finish(ctx, c, s, WALK_END_COMPLETE);
    }
    loop(MAX_USER_IPS + 1, frame, 0, 0);
    return finish(ctx, c, s, s->end ? s->end : WALK_END_LIMIT);
}

#include "sources/bpf/walk_loops.h"
