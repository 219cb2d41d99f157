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

static SECTION(SCHED_PROGRAM) long compare_word(u32 turn, struct comparison *comparison)
{
    struct scratch *s = comparison->scratch;
    if (turn >= WALK_MAX_WORDS) {
        return 1;
    }
    struct word *word = &comparison->memo->words[turn];
    if (!find_word(s, word->address, &s->found) || s->found != word->value) {
        comparison->is_other = 1;
        return 1;
    }
    return 0;
}

static SECTION(SCHED_PROGRAM) long frame(u32 turn, void *unused)
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
