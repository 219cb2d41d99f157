/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * code_targets - where a function's code may jump and call to
 *
 * Names of other functions stand beside calls and jumps of annotated code. Who
 * keeps the code has to know which functions those may be, without decoding
 * all of it: each place where the bytes could be such an instruction is taken
 * for one. All targets that the disassembler finds are among those told here,
 * and a few that are none.
 *
 * Owner:   everything is borrowed.
 * Threads: any.
 * Source:  Intel's manual, volume 2, CALL, Jcc, JMP, LOOP, XBEGIN; Arm's
 *          Architecture Reference Manual, C4.1, branches
 * Tests:   code_targets_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "disasm/disasm.h"

typedef void (*code_target_cb)(void *userdata, uint64_t target_address);

/* Tells of each target outside of the code, and of each call within it. */
void code_targets_scan(enum disasm_machine machine, const uint8_t *code, size_t n_bytes,
                       uint64_t address, code_target_cb on_target, void *userdata);
