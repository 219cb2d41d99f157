/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * bpf_call - bpf(2)
 *
 * Owner:   descriptors are the caller's. Threads: any.
 * Source:  bpf(2); include/uapi/linux/bpf.h of Linux 6.18.
 */

#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>

/* What the call returns, or a negative errno. */
int bpf_call(enum bpf_cmd command, union bpf_attr *attr);

/* A function of a program: where it begins. */
struct bpf_function {
    uint32_t insn;
    const char *name;
};

#define BPF_FUNCTIONS_MAX 8u

/*
 * A descriptor, or a negative errno; why the verifier refused is in the debug
 * log. Functions are named, the program itself first, where it has others than
 * itself: the kernel wants to know each; n_functions may be 0.
 */
int bpf_load_program(enum bpf_prog_type type, const struct bpf_insn *insns, size_t n_insns,
                     const struct bpf_function *functions, size_t n_functions);
