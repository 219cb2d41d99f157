/* SPDX-License-Identifier: MIT */
#include "disasm/code_targets.h"

#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"

struct scan {
    uint64_t address;
    size_t n_bytes;
    code_target_cb on_target;
    void *userdata;
};

static void tell(const struct scan *scan, uint64_t target, bool is_call)
{
    if (is_call || target - scan->address >= scan->n_bytes) {
        scan->on_target(scan->userdata, target);
    }
}

static uint32_t word_at(const uint8_t *code)
{
    struct bytes bytes = bytes_of(code, sizeof(uint32_t));
    return bytes_take_u32(&bytes);
}

/* How long an opcode may be that ends in a distance of 32 bits; 0: it is none. */
static size_t wide_opcode(const uint8_t *code, size_t n_left)
{
    if (code[0] == 0xe8 || code[0] == 0xe9) {
        return 1;
    }
    bool is_branch = n_left > 1 && code[0] == 0x0f && (code[1] & 0xf0) == 0x80;
    bool is_xbegin = n_left > 1 && code[0] == 0xc7 && code[1] == 0xf8;
    return is_branch || is_xbegin ? 2 : 0;
}

static bool is_narrow_opcode(uint8_t opcode)
{
    return (opcode & 0xf0) == 0x70 || opcode == 0xeb || (opcode & 0xfc) == 0xe0;
}

static void scan_x86_64(const struct scan *scan, const uint8_t *code)
{
    for (size_t at = 0; at < scan->n_bytes; at++) {
        size_t n_left = scan->n_bytes - at;
        size_t n_opcode = wide_opcode(code + at, n_left);
        if (n_opcode > 0 && n_left >= n_opcode + 4) {
            uint64_t distance = (uint64_t)(int64_t)(int32_t)word_at(code + at + n_opcode);
            tell(scan, scan->address + at + n_opcode + 4 + distance, code[at] == 0xe8);
        }
        if (is_narrow_opcode(code[at]) && n_left >= 2) {
            uint64_t distance = (uint64_t)(int64_t)(int8_t)code[at + 1];
            tell(scan, scan->address + at + 2 + distance, false);
        }
    }
}

/* A field of the word as a signed distance in units of 4 bytes. */
static uint64_t distance_in(uint32_t word, unsigned int low_bit, unsigned int n_bits)
{
    uint64_t field = (uint64_t)(word >> low_bit) << (64 - n_bits);
    return (uint64_t)((int64_t)field >> (64 - n_bits)) * 4;
}

static void scan_aarch64(const struct scan *scan, const uint8_t *code)
{
    for (size_t at = 0; at + 4 <= scan->n_bytes; at += 4) {
        uint32_t word = word_at(code + at);
        uint64_t address = scan->address + at;
        if ((word & 0x7c000000) == 0x14000000) { /* B, BL */
            tell(scan, address + distance_in(word, 0, 26), word >> 31);
        } else if ((word & 0xff000000) == 0x54000000 || (word & 0x7e000000) == 0x34000000) {
            tell(scan, address + distance_in(word, 5, 19), false); /* B.cond, CBZ, CBNZ */
        } else if ((word & 0x7e000000) == 0x36000000) {
            tell(scan, address + distance_in(word, 5, 14), false); /* TBZ, TBNZ */
        }
    }
}

void code_targets_scan(enum disasm_machine machine, const uint8_t *code, size_t n_bytes,
                       uint64_t address, code_target_cb on_target, void *userdata)
{
    const struct scan scan = {
        .address = address, .n_bytes = n_bytes, .on_target = on_target, .userdata = userdata};
    switch (machine) {
    case DISASM_MACHINE_X86_64:
        scan_x86_64(&scan, code);
        break;
    case DISASM_MACHINE_AARCH64:
        scan_aarch64(&scan, code);
        break;
    }
}
