/* SPDX-License-Identifier: MIT */
#include "unwind/unwind_step.h"

#include <string.h>

/* No frame is larger; a frame pointer further away than this is no frame pointer. */
#define FRAME_MAX_BYTES (UINT64_C(64) << 20)

/* User addresses of aarch64 that carry an authentication code are cut to these bits. */
#define AARCH64_ADDRESS_BITS 48

/* struct sigcontext of x86-64 stands at ucontext + 40; its members that we follow: */
enum { X86_UCONTEXT_RBP = 120, X86_UCONTEXT_RSP = 160, X86_UCONTEXT_RIP = 168 };

/* aarch64: siginfo (128), then ucontext with sigcontext at 176 and x0 eight bytes into it. */
enum {
    AARCH64_FRAME_X29 = 128 + 176 + 8 + 29 * 8,
    AARCH64_FRAME_SP = AARCH64_FRAME_X29 + 16,
    AARCH64_FRAME_PC = AARCH64_FRAME_X29 + 24,
};

bool unwind_read(struct unwind_reader *reader, uint64_t address, uint64_t *ret_word)
{
    uint64_t offset = address - reader->start;
    if (address % 8 != 0) {
        return false;
    }
    if (address >= reader->start && offset + 8 > reader->end_needed - reader->start &&
        offset < FRAME_MAX_BYTES) {
        reader->end_needed = address + 8;
    }
    if (address >= reader->start && reader->n_bytes >= 8 && offset <= reader->n_bytes - 8) {
        memcpy(ret_word, reader->bytes + offset, 8);
        return true;
    }
    reader->went_outside = true;
    return reader->read_outside && reader->read_outside(reader->userdata, address, ret_word);
}

/* The copy ran out, or the memory behind it could not be had. */
static enum event_stack_end end_of_memory(const struct unwind_reader *reader)
{
    return reader->read_outside ? EVENT_STACK_END_MEMORY : EVENT_STACK_END_COPY;
}

static enum event_stack_end leave_signal_frame(enum cfi_machine machine,
                                               struct unwind_registers *registers,
                                               struct unwind_reader *reader)
{
    bool is_x86 = machine == CFI_MACHINE_X86_64;
    uint64_t sp = registers->sp, new_ip, new_sp, new_fp;
    if (!unwind_read(reader, sp + (is_x86 ? X86_UCONTEXT_RBP : AARCH64_FRAME_X29), &new_fp) ||
        !unwind_read(reader, sp + (is_x86 ? X86_UCONTEXT_RSP : AARCH64_FRAME_SP), &new_sp) ||
        !unwind_read(reader, sp + (is_x86 ? X86_UCONTEXT_RIP : AARCH64_FRAME_PC), &new_ip)) {
        return end_of_memory(reader);
    }
    uint64_t lr = 0;
    bool has_lr = !is_x86 && unwind_read(reader, sp + AARCH64_FRAME_X29 + 8, &lr);
    *registers = (struct unwind_registers){
        .ip = new_ip, .sp = new_sp, .fp = new_fp, .lr = lr, .has_lr = has_lr, .is_exact = true};
    return EVENT_STACK_END_UNKNOWN;
}

/* What the CFA counts from. */
static uint64_t base_register(const struct cfi_row *row, const struct unwind_registers *registers)
{
    uint8_t kind = row->kind & CFI_KIND_MASK;
    return kind == CFI_FP || kind == CFI_FP_DEREF ? registers->fp : registers->sp;
}

/* Where the caller's fp (or, with CFI_RA_AT_FP, the return address) lies. */
static uint64_t fp_slot(const struct cfi_row *row, const struct unwind_registers *registers,
                        uint64_t cfa)
{
    if (row->fp > 0) {
        return base_register(row, registers) + (uint64_t)(row->fp - 1) * 8;
    }
    return cfa + (uint64_t)((int64_t)row->fp * 8);
}

/* false: the row says what cannot be followed, or the memory is missing (then *ret_end). */
static bool find_cfa(const struct cfi_row *row, const struct unwind_registers *registers,
                     struct unwind_reader *reader, uint64_t *ret_cfa, enum event_stack_end *ret_end)
{
    uint64_t offset = (uint64_t)((int64_t)row->cfa * 8);
    *ret_end = EVENT_STACK_END_UNSUPPORTED;
    switch (row->kind & CFI_KIND_MASK) {
    case CFI_SP:
        *ret_cfa = registers->sp + offset;
        return true;
    case CFI_FP:
        *ret_cfa = registers->fp + offset;
        return true;
    case CFI_PLT:
        *ret_cfa = registers->sp + 8 + ((registers->ip & 15) >= (uint64_t)row->cfa ? 8 : 0);
        return true;
    case CFI_SP_DEREF:
    case CFI_SP_DEREF_8:
    case CFI_FP_DEREF: {
        *ret_end = end_of_memory(reader);
        if (!unwind_read(reader, base_register(row, registers) + offset, ret_cfa)) {
            return false;
        }
        *ret_cfa += (row->kind & CFI_KIND_MASK) == CFI_SP_DEREF_8 ? 8 : 0;
        return true;
    }
    default:
        return false;
    }
}

/* Where the return address lies; false: it is in the link register. */
static bool return_slot(enum cfi_machine machine, const struct cfi_row *row,
                        const struct unwind_registers *registers, uint64_t cfa, uint64_t *ret_slot)
{
    if (machine == CFI_MACHINE_X86_64) {
        *ret_slot = cfa - 8;
        return true;
    }
    *ret_slot = fp_slot(row, registers, cfa) + (row->kind & CFI_RA_AT_FP ? 0 : 8);
    return (row->kind & CFI_RA_LR) == 0;
}

/* At the end of a function tables go on to say where fp was saved when it has its old value again;
 * no copy holds what lies below sp. */
static bool is_popped(const struct cfi_row *row, const struct unwind_registers *registers,
                      uint64_t cfa)
{
    return fp_slot(row, registers, cfa) < registers->sp;
}

static enum event_stack_end leave_frame(enum cfi_machine machine, const struct cfi_row *row,
                                        struct unwind_registers *registers,
                                        struct unwind_reader *reader)
{
    enum event_stack_end end;
    uint64_t cfa, slot, ip = registers->lr, fp = registers->fp;
    if (!find_cfa(row, registers, reader, &cfa, &end)) {
        return end;
    }
    bool is_leaf_form = machine == CFI_MACHINE_AARCH64 && (row->kind & CFI_RA_LR) != 0;
    /* A frame takes room: its return address at least, or, in a leaf of aarch64, nothing. */
    if (cfa < registers->sp || (cfa == registers->sp && !is_leaf_form) ||
        cfa - registers->sp > FRAME_MAX_BYTES || cfa % 8 != 0) {
        return EVENT_STACK_END_MEMORY;
    }
    if (return_slot(machine, row, registers, cfa, &slot)) {
        if (!unwind_read(reader, slot, &ip)) {
            return end_of_memory(reader);
        }
    } else if (!registers->has_lr) {
        return EVENT_STACK_END_UNSUPPORTED;
    }
    if (row->fp != 0 && (row->kind & CFI_RA_AT_FP) == 0 && !is_popped(row, registers, cfa) &&
        !unwind_read(reader, fp_slot(row, registers, cfa), &fp)) {
        return end_of_memory(reader);
    }
    if (machine == CFI_MACHINE_AARCH64) {
        ip &= (UINT64_C(1) << AARCH64_ADDRESS_BITS) - 1;
    }
    *registers = (struct unwind_registers){
        .ip = ip, .sp = cfa, .fp = fp, .has_frame = registers->has_frame || row->fp != 0};
    return EVENT_STACK_END_UNKNOWN;
}

enum event_stack_end unwind_step_by_frame_pointer(struct unwind_registers *registers,
                                                  struct unwind_reader *reader)
{
    uint64_t ip, fp;
    if (registers->fp == 0) {
        /* Both ABIs mark the outermost frame so; code that keeps none may have any number there. */
        return registers->has_frame ? EVENT_STACK_END_COMPLETE : EVENT_STACK_END_NO_TABLE;
    }
    /* A frame that has only just been set up has fp == sp. */
    if (registers->fp < registers->sp || registers->fp % 8 != 0 ||
        registers->fp - registers->sp > FRAME_MAX_BYTES) {
        return EVENT_STACK_END_NO_TABLE;
    }
    if (!unwind_read(reader, registers->fp, &fp) || !unwind_read(reader, registers->fp + 8, &ip)) {
        return end_of_memory(reader);
    }
    if (ip == 0) {
        return fp == 0 ? EVENT_STACK_END_COMPLETE : EVENT_STACK_END_NO_TABLE;
    }
    *registers =
        (struct unwind_registers){.ip = ip, .sp = registers->fp + 16, .fp = fp, .has_frame = true};
    return EVENT_STACK_END_UNKNOWN;
}

enum event_stack_end unwind_step(enum cfi_machine machine, const struct cfi_row *row,
                                 struct unwind_registers *registers, struct unwind_reader *reader)
{
    switch (row->kind & CFI_KIND_MASK) {
    case CFI_END:
        return EVENT_STACK_END_COMPLETE;
    case CFI_NONE:
        return unwind_step_by_frame_pointer(registers, reader);
    case CFI_SIGNAL:
        return leave_signal_frame(machine, registers, reader);
    case CFI_UNSUPPORTED:
        return EVENT_STACK_END_UNSUPPORTED;
    default:
        return leave_frame(machine, row, registers, reader);
    }
}
