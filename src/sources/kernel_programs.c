/* SPDX-License-Identifier: MIT */
#include "sources/kernel_programs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sources/bpf_call.h"

#if defined(__x86_64__)

#include "sources/bpf/sched_fork_program.h"
#include "sources/bpf/sched_free_program.h"
#include "sources/bpf/sched_switch_program.h"
#include "sources/bpf/sched_waking_program.h"
#include "sources/bpf/walk_program.h"

#define N_ELEMENTS(array) (sizeof(array) / sizeof(*(array)))
#define PROGRAM(name)                                                                              \
    .insns = name##_insns, .n_insns = N_ELEMENTS(name##_insns), .places = name##_places,           \
    .n_places = N_ELEMENTS(name##_places), .functions = name##_functions,                          \
    .n_functions = N_ELEMENTS(name##_functions)
#define MEMBERS(name) .members = name##_members, .n_members = N_ELEMENTS(name##_members)

static const struct compiled {
    const struct bpf_insn *insns;
    size_t n_insns;
    const struct walk_place *places;
    size_t n_places;
    const struct bpf_function *functions;
    size_t n_functions;
    const struct kernel_member_place *members;
    size_t n_members;
} programs[KERNEL_PROGRAM_N] = {
    [KERNEL_PROGRAM_SAMPLE] = {PROGRAM(sample)},
    [KERNEL_PROGRAM_SCHED_SWITCH] = {PROGRAM(sched_switch), MEMBERS(sched_switch)},
    [KERNEL_PROGRAM_SCHED_WAKING] = {PROGRAM(sched_waking), MEMBERS(sched_waking)},
    [KERNEL_PROGRAM_SCHED_FORK] = {PROGRAM(sched_fork), MEMBERS(sched_fork)},
    [KERNEL_PROGRAM_SCHED_FREE] = {PROGRAM(sched_free), MEMBERS(sched_free)},
};

/* Maps and members of this kernel in the place of their names. */
static void link_program(const struct compiled *compiled, const int maps[WALK_MAP_N],
                         const struct kernel_btf *btf, struct bpf_insn *insns)
{
    memcpy(insns, compiled->insns, compiled->n_insns * sizeof(*insns));
    for (size_t i = 0; i < compiled->n_places; i++) {
        const struct walk_place *place = &compiled->places[i];
        struct bpf_insn *insn = &insns[place->insn];
        insn->src_reg = BPF_PSEUDO_MAP_FD;
        insn->imm = maps[place->map];
    }
    for (size_t i = 0; i < compiled->n_members; i++) {
        const struct kernel_member_place *place = &compiled->members[i];
        insns[place->insn].off = (int16_t)btf->members[place->member];
    }
}

/* The tracepoint of a program. */
static uint32_t attach_type(enum kernel_program program, const struct kernel_btf *btf)
{
    switch (program) {
    case KERNEL_PROGRAM_SCHED_SWITCH:
        return btf->sched_switch_type;
    case KERNEL_PROGRAM_SCHED_WAKING:
        return btf->sched_waking_type;
    case KERNEL_PROGRAM_SCHED_FORK:
        return btf->sched_fork_type;
    case KERNEL_PROGRAM_SCHED_FREE:
        return btf->sched_free_type;
    case KERNEL_PROGRAM_SAMPLE:
    case KERNEL_PROGRAM_N:
        break;
    }
    return 0;
}

bool kernel_program_is_there(void)
{
    return true;
}

int kernel_program_load(enum kernel_program program, const int maps[WALK_MAP_N],
                        const struct kernel_btf *btf)
{
    const struct compiled *compiled = &programs[program];
    _cleanup_(freep) struct bpf_insn *insns = calloc(compiled->n_insns, sizeof(*insns));
    if (!insns) {
        return -ENOMEM;
    }
    link_program(compiled, maps, btf, insns);
    struct bpf_program loaded = {
        .type = BPF_PROG_TYPE_PERF_EVENT,
        .insns = insns,
        .n_insns = compiled->n_insns,
        .functions = compiled->functions,
        .n_functions = compiled->n_functions,
    };
    if (program != KERNEL_PROGRAM_SAMPLE) {
        loaded.type = BPF_PROG_TYPE_TRACING;
        loaded.attach_type = BPF_TRACE_RAW_TP;
        loaded.attach_btf_id = attach_type(program, btf);
    }
    return bpf_load_program(&loaded);
}

#else

bool kernel_program_is_there(void)
{
    return false;
}

/* The programs read the registers of x86-64 where that has them. */
int kernel_program_load(enum kernel_program program, const int maps[WALK_MAP_N],
                        const struct kernel_btf *btf)
{
    (void)program;
    (void)maps;
    (void)btf;
    return -EOPNOTSUPP;
}

#endif
