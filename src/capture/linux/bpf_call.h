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

/* What the call returns, or a negative errno. */
int bpf_call(enum bpf_cmd command, union bpf_attr *attr);

/* A descriptor, or a negative errno; why the verifier refused is in the debug log. */
int bpf_load_program(enum bpf_prog_type type, const struct bpf_insn *insns, size_t n_insns);
