/* SPDX-License-Identifier: MIT */
/*
 * fuzz_disasm - code, and lists of where functions begin, that nobody vouches for
 *
 * The first byte chooses the machine. Whatever follows: each instruction takes
 * at least one byte and not more than there are, its text ends, and every byte
 * is told. The same bytes as .eh_frame_hdr give bounds that hold the address.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "disasm/code_bounds.h"
#include "disasm/disasm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void decode_all(struct disassembler *disassembler, const uint8_t *code, size_t n_bytes)
{
    uint64_t base = UINT64_C(0x7ffffffff000);
    for (size_t at = 0; at < n_bytes;) {
        struct disasm_instruction instruction;
        disassembler_decode(disassembler, code + at, n_bytes - at, base + at, &instruction);
        if (instruction.n_bytes == 0 || instruction.n_bytes > n_bytes - at ||
            instruction.n_bytes > DISASM_MAX_INSTRUCTION_BYTES ||
            instruction.address != base + at || instruction.text[0] == '\0' ||
            !memchr(instruction.text, '\0', sizeof(instruction.text)) ||
            (instruction.has_target && instruction.flow == DISASM_FLOW_BAD)) {
            abort();
        }
        at += instruction.n_bytes;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static struct disassembler *disassemblers[2];
    if (n_bytes == 0) {
        return 0;
    }
    int machine = data[0] & 1;
    /* aarch64 needs a library that may be missing. */
    if (!disassemblers[machine] &&
        disassembler_new((enum disasm_machine)machine, &disassemblers[machine], NULL) < 0) {
        return 0;
    }
    decode_all(disassemblers[machine], data + 1, n_bytes - 1);

    uint64_t address = n_bytes * 64, start, end;
    if (code_bounds_find(bytes_of(data + 1, n_bytes - 1), 0x4000, address, &start, &end) &&
        (address < start || address >= end)) {
        abort();
    }
    return 0;
}
