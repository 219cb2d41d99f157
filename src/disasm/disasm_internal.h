/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * disasm - what each machine's file gives to disasm.c
 *
 * Owner:   each machine owns its state. Threads: one per state.
 */

#include "disasm/disasm.h"

struct disasm_ops {
    size_t unit_bytes; /* how much is passed over where nothing can be decoded */
    int (*open)(void **ret_state, struct error *reterr_error);
    void (*close)(void *state);
    /* false: no instruction. Fills n_bytes, flow, target and text. */
    bool (*decode)(void *state, const uint8_t *code, size_t n_bytes, uint64_t address,
                   struct disasm_instruction *ret_instruction);
};

extern const struct disasm_ops disasm_x86_64_ops;
extern const struct disasm_ops disasm_aarch64_ops;
