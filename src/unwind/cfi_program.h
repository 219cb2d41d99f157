/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * cfi_program - runs the call frame instructions of one function
 *
 * What an instruction says of the CFA, the frame pointer, the return address
 * and the stack pointer is followed; what it says of other registers is read
 * over. Each change is handed out as a row.
 *
 * Owner:   values; the sink owns its rows until cfi_rows_release().
 * Threads: one per sink.
 * Limits:  CFI_TABLE_MAX_ROWS rows per sink; REMEMBERED_MAX remembered states.
 *          Time is linear in the bytes of the program.
 * Source:  DWARF 5, sections 6.4.2 and 7.24; Linux Standard Base Core 5.0,
 *          section 10.6.2; DWARF for the Arm 64-bit Architecture, section 6.3.
 * Tests:   cfi_program_test.c; tests/fuzz/fuzz_cfi.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "unwind/cfi_parse.h"
#include "unwind/cfi_row.h"
#include "unwind/cfi_rules.h"

/* Rows by pc; equal neighbours are merged as they are added. */
struct cfi_rows {
    struct cfi_row *rows;
    uint32_t n_rows, capacity;
    int failure; /* sticky: -ENOMEM, -EFBIG */
};

void cfi_rows_release(struct cfi_rows *rows);
DEFINE_RELEASEP(cfi_rows);

/* pc must not be less than that of the last row; where it is the same, the last one says it. */
void cfi_rows_add(struct cfi_rows *rows, uint32_t pc, struct cfi_row row);

/* The state before a function's own program. false: the CIE's makes no sense, nor will rows. */
bool cfi_program_begin(enum cfi_machine machine, const struct cfi_cie *cie,
                       struct cfi_rules *ret_rules);

struct cfi_function {
    enum cfi_machine machine;
    const struct cfi_cie *cie;
    const struct cfi_rules *initial;
    uint64_t base_addr;        /* of all rows */
    uint32_t start_pc, end_pc; /* from base_addr; rows for these only */
};

/*
 * Adds the rows of one function. false: the program makes no sense from some
 * instruction on; what comes behind it is CFI_UNSUPPORTED.
 */
bool cfi_program_run(const struct cfi_function *function, struct bytes instructions,
                     struct cfi_rows *rows);
