/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * sched_free_program - sched_free.bpf.c as instructions, made by tools/gen-bpf
 *
 * Owner, Threads: constants.
 */

#include "sources/bpf/walk_object.h"
#include "sources/bpf_call.h"

/* clang-format off */

static const struct bpf_insn sched_free_insns[] = {
    {0x79, 1, 1, 0, 0},
    {0x61, 2, 1, 28680, 0},
    {0x63, 10, 2, -4, 0},
    {0x61, 1, 1, 28672, 0},
    {0x5e, 2, 1, 5, 0},
    {0xbf, 2, 10, 0, 0},
    {0x07, 2, 0, 0, -4},
    {0x18, 1, 0, 0, 0},
    {0x00, 0, 0, 0, 0},
    {0x85, 0, 0, 0, 3},
    {0xb4, 0, 0, 0, 0},
    {0x95, 0, 0, 0, 0},
};

static const struct walk_place sched_free_places[] = {
    {7, WALK_MAP_FAMILY},
};

static const struct bpf_function sched_free_functions[] = {
    {0, "sched_free"},
};

static const struct kernel_member_place sched_free_members[] = {
    {1, 1},
    {3, 0},
};
/* clang-format on */
