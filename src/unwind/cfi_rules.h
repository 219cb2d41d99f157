/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * cfi_rules - what DWARF says of one instruction, and the row that tells it
 *
 * Owner, Threads: values.
 * Limits:  what a row has no form for becomes CFI_UNSUPPORTED.
 * Source:  DWARF 5, section 6.4.1; the numbers of registers are those of the
 *          System V ABI for AMD64 and of DWARF for the Arm 64-bit Architecture.
 * Tests:   cfi_rules_test.c, cfi_program_test.c
 */

#include <stdbool.h>
#include <stdint.h>

#include "unwind/cfi_row.h"
#include "unwind/cfi_table.h"

/* Further than any row can tell, and far from where sums overflow. */
#define CFI_FAR_AWAY (INT64_C(1) << 40)

/* DWARF's numbers of the registers that are followed. */
struct cfi_registers {
    uint32_t fp, sp, ra;
};

const struct cfi_registers *cfi_registers_of(enum cfi_machine machine);

/* How a register of the caller is found. */
struct cfi_rule {
    enum {
        CFI_RULE_SAME,
        CFI_RULE_AT_CFA,      /* saved at CFA + offset */
        CFI_RULE_AT_REGISTER, /* saved at register + offset */
        CFI_RULE_UNDEFINED,
        CFI_RULE_ODD, /* in a way that rows cannot express */
    } kind;
    uint32_t register_number;
    int64_t offset_bytes;
};

/* What holds at one instruction. */
struct cfi_rules {
    struct {
        enum {
            CFI_CFA_ODD,
            CFI_CFA_REGISTER, /* register + offset */
            CFI_CFA_DEREF,    /* *(register + offset) */
            CFI_CFA_DEREF_8,  /* *(register + offset) + 8 */
            CFI_CFA_PLT,      /* offset is the threshold */
        } kind;
        uint32_t register_number;
        int64_t offset_bytes;
    } cfa;
    struct cfi_rule fp, ra;
    bool is_ra_signed;
    bool is_sp_odd; /* the caller's sp is not the CFA */
};

/* What holds as a row; its pc is 0. */
struct cfi_row cfi_rules_to_row(enum cfi_machine machine, const struct cfi_rules *rules,
                                bool is_signal_frame);
