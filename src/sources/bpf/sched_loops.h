/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * sched_loops - the bodies of the loops of sched_steps.h
 *
 * The kernel begins a program at its first instruction, so these are included
 * behind it.
 *
 * Owner, Threads: see sched_steps.h.
 */

#include "sources/bpf/sched_steps.h"
#include "sources/bpf/walk_loops.h"

static SECTION(WALK_PROGRAM) long compare_word(u32 turn, struct comparison *comparison)
{
    struct scratch *s = comparison->scratch;
    if (turn >= WALK_MAX_WORDS) {
        return 1;
    }
    struct word *word = &comparison->memo->words[turn];
    if (!find_word(s, word->address, &s->found) || s->found != word->value) {
        s->is_other = 1;
        return 1;
    }
    return 0;
}

static SECTION(WALK_PROGRAM) long hash_ip(u32 turn, struct loop_argument *argument)
{
    struct scratch *s = argument->scratch;
    if (turn >= WALK_MAX_KERNEL_IPS) {
        return 1;
    }
    u64 hash = (s->hash ^ s->ips[turn]) * 0x9e3779b97f4a7c15ull;
    s->hash = hash ^ (hash >> 29);
    return 0;
}

/* A loop of one turn: so that verifiers look into it once, wherever they come from. */
static SECTION(WALK_PROGRAM) long find_slowly(u32 turn, struct finding *f)
{
    (void)turn;
    f->scratch->kind = find_by_frames(f);
    return 0;
}
