/* SPDX-License-Identifier: MIT */
#include "unwind/cfi_expression.h"

enum operation {
    OP_DEREF = 0x06,
    OP_AND = 0x1a,
    OP_PLUS = 0x22,
    OP_PLUS_UCONST = 0x23,
    OP_SHL = 0x24,
    OP_GE = 0x2a,
    OP_LIT0 = 0x30,
    OP_BREG0 = 0x70,
    OP_BREG31 = 0x8f,
};

/* x86-64's number of the return address, which in expressions stands for the ip. */
#define X86_64_IP 16

/* … (ip & 15) >= threshold) << 3) + */
static bool read_plt(struct bytes operations, int64_t *ret_threshold)
{
    if (bytes_take_u8(&operations) != OP_BREG0 + X86_64_IP ||
        bytes_take_sleb128(&operations) != 0 || bytes_take_u8(&operations) != OP_LIT0 + 15 ||
        bytes_take_u8(&operations) != OP_AND) {
        return false;
    }
    uint8_t threshold = bytes_take_u8(&operations);
    if (threshold < OP_LIT0 || threshold > OP_LIT0 + 15 || bytes_take_u8(&operations) != OP_GE ||
        bytes_take_u8(&operations) != OP_LIT0 + 3 || bytes_take_u8(&operations) != OP_SHL ||
        bytes_take_u8(&operations) != OP_PLUS) {
        return false;
    }
    *ret_threshold = threshold - OP_LIT0;
    return !bytes_has_failed(&operations) && bytes_left(&operations) == 0;
}

static uint64_t take_addition(struct bytes *operations)
{
    if (bytes_left(operations) == 0) {
        return 0;
    }
    if (bytes_take_u8(operations) != OP_PLUS_UCONST) {
        operations->failed = true;
    }
    return bytes_take_uleb128(operations);
}

struct cfi_expression cfi_expression_read(struct bytes operations)
{
    struct cfi_expression other = {.kind = CFI_EXPRESSION_OTHER};
    uint8_t operation = bytes_take_u8(&operations);
    if (operation < OP_BREG0 || operation > OP_BREG31) {
        return other;
    }
    struct cfi_expression expression = {
        .kind = CFI_EXPRESSION_REGISTER,
        .register_number = operation - OP_BREG0,
        .offset_bytes = bytes_take_sleb128(&operations),
    };
    int64_t threshold;
    if (bytes_has_failed(&operations)) {
        return other;
    }
    if (bytes_left(&operations) == 0) {
        return expression;
    }
    if (expression.offset_bytes == 8 && read_plt(operations, &threshold)) {
        expression.kind = CFI_EXPRESSION_PLT;
        expression.offset_bytes = threshold;
        return expression;
    }
    if (bytes_take_u8(&operations) != OP_DEREF) {
        return other;
    }
    expression.kind = CFI_EXPRESSION_DEREF;
    expression.added_bytes = take_addition(&operations);
    return bytes_has_failed(&operations) || bytes_left(&operations) > 0 ? other : expression;
}
