/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * disasm - bytes of code as instructions for people
 *
 * Shape:   one instruction at a time; addresses are whatever the caller counts
 *          in. x86-64 is written in Intel's syntax, aarch64 in Arm's. Bytes that
 *          are no instruction become `.byte 0x…`, one unit at a time, so that
 *          every byte is shown and decoding goes on behind it.
 * Owner:   disassembler_new()/disassembler_free().
 * Threads: one per disassembler; any number of disassemblers.
 * Limits:  DISASM_TEXT_BYTES of text.
 * Source:  x86-64 by Zydis; aarch64 by LLVM's C interface, which is loaded when
 *          it is first needed and may be missing.
 * Tests:   disasm_test.c, tests/fuzz/fuzz_disasm.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

#define DISASM_TEXT_BYTES 160
#define DISASM_MAX_INSTRUCTION_BYTES 15

enum disasm_machine { DISASM_MACHINE_X86_64, DISASM_MACHINE_AARCH64 };

/* Where control goes after it. */
enum disasm_flow {
    DISASM_FLOW_NEXT,
    DISASM_FLOW_JUMP,   /* always */
    DISASM_FLOW_BRANCH, /* or to the next one */
    DISASM_FLOW_CALL,
    DISASM_FLOW_RETURN,
    DISASM_FLOW_BAD, /* no instruction */
};

struct disasm_instruction {
    uint64_t address;
    uint8_t n_bytes; /* at least 1 where there was one */
    enum disasm_flow flow;
    bool has_target;
    uint64_t target_address; /* of a jump, branch or call that says where to */
    char text[DISASM_TEXT_BYTES];
};

struct disassembler;

/* The machine that this program was built for. */
enum disasm_machine disasm_own_machine(void);

/* From EM_* of an ELF header; false for a machine that we do not know. */
bool disasm_machine_of_elf(uint16_t elf_machine, enum disasm_machine *ret_machine);

/* "x86-64", "aarch64" */
const char *disasm_machine_name(enum disasm_machine machine);

/* 0, -ENOMEM, or -ENOTSUP with the reason and what to install. */
int disassembler_new(enum disasm_machine machine, struct disassembler **ret_disassembler,
                     struct error *reterr_error);
struct disassembler *disassembler_free(struct disassembler *disassembler);
DEFINE_FREEP(disassembler);

/*
 * The instruction that begins at code[0], which stands at `address`. n_bytes
 * is how many bytes there are; an instruction that needs more is none.
 */
void disassembler_decode(struct disassembler *disassembler, const uint8_t *code, size_t n_bytes,
                         uint64_t address, struct disasm_instruction *ret_instruction);
