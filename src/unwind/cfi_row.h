/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * cfi_row - how to leave one function, in 8 bytes
 *
 * A row holds from its pc to the pc of the next row. The form is fixed: the
 * same rows are read by a program inside the kernel, so a change here is a
 * change there.
 *
 * Shape:   offsets are counted in words of 8 bytes. Only the stack pointer, the
 *          frame pointer (x86-64 rbp, aarch64 x29), the ip and, on aarch64, the
 *          link register of the innermost frame are followed.
 *          x86-64:  the return address lies at CFA - 8.
 *          aarch64: see CFI_RA_*.
 *          The caller's sp is the CFA (but CFI_SIGNAL).
 * Owner, Threads: values.
 * Source:  DWARF 5, section 6.4; System V ABI for AMD64, section 3.7; ELF for
 *          the Arm 64-bit Architecture; the figures behind the form are in
 *          docs/design/0006-unwinding.md.
 * Tests:   cfi_rules_test.c, cfi_program_test.c, cfi_peer_test.c
 */

#include <stdint.h>

struct cfi_row {
    uint32_t pc;  /* from cfi_table.base_addr */
    int16_t cfa;  /* words, see kind */
    uint8_t kind; /* enum cfi_kind, with CFI_RA_* on aarch64 */
    int8_t fp;    /* where the caller's fp is saved, see below; 0: it is as it was */
};

/*
 * cfi_row.fp < 0: the caller's fp is saved at CFA + 8 * fp.
 * cfi_row.fp > 0: at B + 8 * (fp - 1), where B is the register that the CFA
 * counts from (sp or fp): large frames of aarch64, whose saved registers are too
 * far from the CFA for 8 bits, and frames that realign the stack.
 */

_Static_assert(sizeof(struct cfi_row) == 8, "the kernel's side reads this form");

enum cfi_kind {
    CFI_NONE = 0,        /* no unwind information from here on: try frame pointers */
    CFI_END = 1,         /* the outermost frame of a thread (undefined return address) */
    CFI_SP = 2,          /* CFA = sp + 8 * cfa */
    CFI_FP = 3,          /* CFA = fp + 8 * cfa */
    CFI_SP_DEREF = 4,    /* CFA = *(sp + 8 * cfa) */
    CFI_FP_DEREF = 5,    /* CFA = *(fp + 8 * cfa): realigned stacks */
    CFI_PLT = 6,         /* x86-64: CFA = sp + 8 + (ip % 16 >= cfa ? 8 : 0) */
    CFI_SIGNAL = 7,      /* a signal frame: the interrupted registers lie in the ucontext at sp */
    CFI_UNSUPPORTED = 8, /* information that this form cannot express */
    CFI_SP_DEREF_8 = 9,  /* CFA = *(sp + 8 * cfa) + 8: hand-written code that keeps the old sp */
    CFI_KIND_MASK = 0x0f,
    /* aarch64, where the return address is; none of them: 8 bytes behind the saved fp */
    CFI_RA_LR = 0x10,     /* still in the link register */
    CFI_RA_AT_FP = 0x20,  /* where cfi_row.fp says; the frame pointer itself is as it was */
    CFI_RA_SIGNED = 0x40, /* carries a pointer authentication code that is to be stripped */
};
