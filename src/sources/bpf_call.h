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

/* A map with 32-bit keys; a descriptor, or a negative errno. */
int bpf_make_map(const char *name, enum bpf_map_type type, uint32_t value_bytes, uint32_t count,
                 uint32_t flags);
int bpf_update(int map_fd, uint32_t key, const void *value);
int bpf_find(int map_fd, uint32_t key, void *ret_value);

/* A function of a program: where it begins. */
struct bpf_function {
    uint32_t insn;
    const char *name;
};

#define BPF_FUNCTIONS_MAX 8u

struct bpf_program {
    enum bpf_prog_type type;
    enum bpf_attach_type attach_type; /* of tracing programs, with the type that they attach to */
    uint32_t attach_btf_id;
    const struct bpf_insn *insns;
    size_t n_insns;
    /* Named, the program itself first, where it has others than itself: the kernel wants to know
     * each. n_functions may be 0. */
    const struct bpf_function *functions;
    size_t n_functions;
};

/* A descriptor, or a negative errno; why the verifier refused is in the debug log. */
int bpf_load_program(const struct bpf_program *program);

/* A tracing program on its tracepoint, as long as the descriptor that is returned. */
int bpf_attach_tracing(int program_fd);
