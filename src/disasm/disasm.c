/* SPDX-License-Identifier: MIT */
#include "disasm/disasm.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "disasm/disasm_internal.h"

struct disassembler {
    const struct disasm_ops *ops;
    void *state;
};

static const struct disasm_ops *const machines[] = {
    [DISASM_MACHINE_X86_64] = &disasm_x86_64_ops,
    [DISASM_MACHINE_AARCH64] = &disasm_aarch64_ops,
};

enum disasm_machine disasm_own_machine(void)
{
#ifdef __aarch64__
    return DISASM_MACHINE_AARCH64;
#else
    return DISASM_MACHINE_X86_64;
#endif
}

bool disasm_machine_of_elf(uint16_t elf_machine, enum disasm_machine *ret_machine)
{
    switch (elf_machine) {
    case EM_X86_64:
        *ret_machine = DISASM_MACHINE_X86_64;
        return true;
    case EM_AARCH64:
        *ret_machine = DISASM_MACHINE_AARCH64;
        return true;
    default:
        return false;
    }
}

const char *disasm_machine_name(enum disasm_machine machine)
{
    return machine == DISASM_MACHINE_AARCH64 ? "aarch64" : "x86-64";
}

int disassembler_new(enum disasm_machine machine, struct disassembler **ret_disassembler,
                     struct error *reterr_error)
{
    struct disassembler *disassembler = calloc(1, sizeof(*disassembler));
    if (!disassembler) {
        error_set_errno(reterr_error, -ENOMEM, "starting the disassembler");
        return -ENOMEM;
    }
    disassembler->ops = machines[machine];
    int r = disassembler->ops->open(&disassembler->state, reterr_error);
    if (r < 0) {
        free(disassembler);
        return r;
    }
    *ret_disassembler = disassembler;
    return 0;
}

struct disassembler *disassembler_free(struct disassembler *disassembler)
{
    if (disassembler) {
        disassembler->ops->close(disassembler->state);
        free(disassembler);
    }
    return NULL;
}

static void write_bytes(const uint8_t *code, struct disasm_instruction *instruction)
{
    int length = snprintf(instruction->text, sizeof(instruction->text), ".byte ");
    for (size_t i = 0; i < instruction->n_bytes; i++) {
        length += snprintf(instruction->text + length, sizeof(instruction->text) - (size_t)length,
                           "%s0x%02x", i == 0 ? "" : ", ", code[i]);
    }
}

void disassembler_decode(struct disassembler *disassembler, const uint8_t *code, size_t n_bytes,
                         uint64_t address, struct disasm_instruction *ret_instruction)
{
    *ret_instruction = (struct disasm_instruction){.address = address};
    if (n_bytes == 0) {
        ret_instruction->flow = DISASM_FLOW_BAD;
        return;
    }
    if (disassembler->ops->decode(disassembler->state, code, n_bytes, address, ret_instruction)) {
        return;
    }
    size_t unit_bytes = disassembler->ops->unit_bytes;
    *ret_instruction = (struct disasm_instruction){
        .address = address,
        .n_bytes = (uint8_t)(n_bytes < unit_bytes ? n_bytes : unit_bytes),
        .flow = DISASM_FLOW_BAD,
    };
    write_bytes(code, ret_instruction);
}
