/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * sched_fork_program - sched_fork.bpf.c as instructions, made by tools/gen-bpf
 *
 * Owner, Threads: constants.
 */

#include "sources/bpf/walk_object.h"
#include "sources/bpf_call.h"

/* clang-format off */

static const struct bpf_insn sched_fork_insns[] = {
    {0xbf, 7, 1, 0, 0},
    {0xb4, 1, 0, 0, 0},
    {0x63, 10, 1, -8, 0},
    {0xbf, 2, 10, 0, 0},
    {0x07, 2, 0, 0, -8},
    {0x18, 1, 0, 0, 0},
    {0x00, 0, 0, 0, 0},
    {0x85, 0, 0, 0, 1},
    {0xbf, 6, 0, 0, 0},
    {0x15, 6, 0, 53, 0},
    {0x79, 8, 7, 8, 0},
    {0x79, 7, 7, 0, 0},
    {0x61, 9, 7, 28680, 0},
    {0x61, 1, 7, 28680, 0},
    {0x63, 10, 1, -4, 0},
    {0x61, 2, 6, 0, 0},
    {0x5e, 1, 2, 1, 0},
    {0x05, 0, 0, 9, 0},
    {0x61, 1, 6, 16, 0},
    {0x56, 1, 0, 1, 0},
    {0x05, 0, 0, 42, 0},
    {0xbf, 2, 10, 0, 0},
    {0x07, 2, 0, 0, -4},
    {0x18, 1, 0, 0, 0},
    {0x00, 0, 0, 0, 0},
    {0x85, 0, 0, 0, 1},
    {0x15, 0, 0, 36, 0},
    {0x61, 1, 6, 4, 0},
    {0x16, 1, 0, 20, 0},
    {0x79, 1, 7, 28728, 0},
    {0x61, 2, 6, 28, 0},
    {0x16, 2, 0, 6, 0},
    {0x61, 3, 1, 28736, 0},
    {0x5e, 3, 2, 29, 0},
    {0x61, 3, 1, 28744, 0},
    {0x5e, 3, 2, 27, 0},
    {0x61, 1, 1, 28752, 0},
    {0x5e, 1, 2, 25, 0},
    {0x79, 2, 7, 28704, 0},
    {0x79, 1, 7, 28712, 0},
    {0x61, 3, 6, 0, 0},
    {0x5e, 9, 3, 4, 0},
    {0x79, 2, 2, 28696, 0},
    {0x79, 3, 6, 8, 0},
    {0x37, 2, 0, 0, 10000000},
    {0x5d, 2, 3, 17, 0},
    {0x79, 1, 1, 28720, 0},
    {0x57, 1, 0, 0, 3},
    {0x55, 1, 0, 14, 1},
    {0x61, 1, 8, 28680, 0},
    {0x63, 10, 1, -4, 0},
    {0xb4, 2, 0, 0, 1},
    {0x63, 10, 2, -12, 0},
    {0x61, 2, 7, 28680, 0},
    {0x1e, 1, 2, 8, 0},
    {0xbf, 2, 10, 0, 0},
    {0x07, 2, 0, 0, -4},
    {0xbf, 3, 10, 0, 0},
    {0x07, 3, 0, 0, -12},
    {0x18, 1, 0, 0, 0},
    {0x00, 0, 0, 0, 0},
    {0xb7, 4, 0, 0, 0},
    {0x85, 0, 0, 0, 2},
    {0xb4, 0, 0, 0, 0},
    {0x95, 0, 0, 0, 0},
};

static const struct walk_place sched_fork_places[] = {
    {5, WALK_MAP_SCHED_CONTROL},
    {23, WALK_MAP_FAMILY},
    {59, WALK_MAP_FAMILY},
};

static const struct bpf_function sched_fork_functions[] = {
    {0, "sched_fork"},
};

static const struct kernel_member_place sched_fork_members[] = {
    {12, 1},
    {13, 1},
    {29, 7},
    {32, 8},
    {34, 9},
    {36, 10},
    {38, 4},
    {39, 5},
    {42, 3},
    {46, 6},
    {49, 1},
    {53, 1},
};
/* clang-format on */
