/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * walk_loops - the bodies of the loops of walk_steps.h
 *
 * The kernel begins a program at its first instruction, so these are included
 * behind it. WALK_PROGRAM is its section.
 *
 * Owner, Threads: see walk_steps.h.
 */

#include "sources/bpf/walk_steps.h"

static SECTION(WALK_PROGRAM) long frame(u32 turn, void *unused)
{
    (void)turn;
    (void)unused;
    u32 zero = 0, cpu = current_cpu();
    struct walk_control *c = lookup(&control, &zero);
    struct scratch *s = lookup(&scratch, &cpu);
    if (!c || !s) {
        return 1;
    }
    s->end = walk_one(c, s, &s->machine);
    return s->end != 0;
}

static SECTION(WALK_PROGRAM) long copy_page(u32 turn, struct loop_argument *argument)
{
    struct scratch *s = argument->scratch;
    u64 n_bytes = s->copy.n_bytes, max_bytes = s->copy.max_bytes;
    u64 from = s->copy.sp + n_bytes, to = s->copy.to + n_bytes;
    u64 piece = PAGE_BYTES - (from & (PAGE_BYTES - 1));
    if (n_bytes >= max_bytes) {
        return 1;
    }
    if (piece > max_bytes - n_bytes) {
        piece = max_bytes - n_bytes;
    }
    if (piece > PAGE_BYTES || to > sizeof(s->ips) + WALK_MAX_STACK_BYTES - PAGE_BYTES) {
        return 1;
    }
    if (read_user((unsigned char *)s->ips + to, piece, (void *)from) == 0) {
        s->copy.n_read = n_bytes + piece;
    } else if (turn != 0) {
        return 1;
    }
    s->copy.n_bytes = n_bytes + piece;
    return 0;
}
