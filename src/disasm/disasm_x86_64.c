/* SPDX-License-Identifier: MIT */
#include <Zydis/Zydis.h>
#include <errno.h>
#include <stdlib.h>

#include "disasm/disasm_internal.h"

struct x86_64 {
    ZydisDecoder decoder;
    ZydisFormatter formatter;
};

static int x86_64_open(void **ret_state, struct error *reterr_error)
{
    struct x86_64 *x86_64 = calloc(1, sizeof(*x86_64));
    if (!x86_64) {
        error_set_errno(reterr_error, -ENOMEM, "starting the disassembler");
        return -ENOMEM;
    }
    static const ZydisFormatterProperty unpadded[] = {
        ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE,
        ZYDIS_FORMATTER_PROP_DISP_PADDING,
        ZYDIS_FORMATTER_PROP_IMM_PADDING,
    };
    bool is_ready =
        ZYAN_SUCCESS(
            ZydisDecoderInit(&x86_64->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)) &&
        ZYAN_SUCCESS(ZydisFormatterInit(&x86_64->formatter, ZYDIS_FORMATTER_STYLE_INTEL)) &&
        ZYAN_SUCCESS(ZydisFormatterSetProperty(&x86_64->formatter,
                                               ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE));
    for (size_t i = 0; i < sizeof(unpadded) / sizeof(unpadded[0]); i++) {
        is_ready = is_ready && ZYAN_SUCCESS(ZydisFormatterSetProperty(
                                   &x86_64->formatter, unpadded[i], ZYDIS_PADDING_DISABLED));
    }
    if (!is_ready) {
        free(x86_64);
        error_set(reterr_error, "not_supported", "this Zydis cannot decode x86-64");
        return -ENOTSUP;
    }
    *ret_state = x86_64;
    return 0;
}

static void x86_64_close(void *state)
{
    free(state);
}

static enum disasm_flow flow_of(const ZydisDecodedInstruction *instruction)
{
    switch (instruction->meta.category) {
    case ZYDIS_CATEGORY_COND_BR:
        return DISASM_FLOW_BRANCH;
    case ZYDIS_CATEGORY_UNCOND_BR:
        return DISASM_FLOW_JUMP;
    case ZYDIS_CATEGORY_CALL:
        return DISASM_FLOW_CALL;
    case ZYDIS_CATEGORY_RET:
        return DISASM_FLOW_RETURN;
    default:
        return DISASM_FLOW_NEXT;
    }
}

static bool x86_64_decode(void *state, const uint8_t *code, size_t n_bytes, uint64_t address,
                          struct disasm_instruction *ret_instruction)
{
    const struct x86_64 *x86_64 = state;
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    if (n_bytes > DISASM_MAX_INSTRUCTION_BYTES) {
        n_bytes = DISASM_MAX_INSTRUCTION_BYTES;
    }
    if (!ZYAN_SUCCESS(
            ZydisDecoderDecodeFull(&x86_64->decoder, code, n_bytes, &instruction, operands)) ||
        !ZYAN_SUCCESS(ZydisFormatterFormatInstruction(
            &x86_64->formatter, &instruction, operands, instruction.operand_count_visible,
            ret_instruction->text, sizeof(ret_instruction->text), address, NULL))) {
        return false;
    }
    ret_instruction->n_bytes = instruction.length;
    ret_instruction->flow = flow_of(&instruction);
    bool is_relative =
        ret_instruction->flow != DISASM_FLOW_NEXT && instruction.operand_count_visible > 0 &&
        operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && operands[0].imm.is_relative;
    if (is_relative) {
        ZyanU64 target;
        ret_instruction->has_target =
            ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&instruction, &operands[0], address, &target));
        ret_instruction->target_address = ret_instruction->has_target ? target : 0;
    }
    return true;
}

const struct disasm_ops disasm_x86_64_ops = {
    .unit_bytes = 1,
    .open = x86_64_open,
    .close = x86_64_close,
    .decode = x86_64_decode,
};
