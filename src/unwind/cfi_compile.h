/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * cfi_compile - from sections of descriptions to a table of rows
 *
 * Where two descriptions claim the same code, the one that starts later holds
 * from its start on; of two that start at the same place, the first one. That
 * is what an unwinder finds by searching for the start.
 *
 * Owner:   the caller frees the table.
 * Threads: any; no state.
 * Limits:  time is linear in the section, memory is at most 16 times its size
 *          (the page index: or n_input_bytes, what the code came with) + 1 MiB.
 * Source:  docs/design/0006-unwinding.md
 * Tests:   cfi_compile_test.c, cfi_table_test.c; tests/fuzz/fuzz_cfi.c
 */

#include "unwind/cfi_parse.h"
#include "unwind/cfi_table.h"

#define CFI_COMPILE_MAX_SECTIONS 3

struct cfi_compile_input {
    enum cfi_machine machine;
    struct cfi_section sections[CFI_COMPILE_MAX_SECTIONS]; /* the first one counts more */
    size_t n_sections;
    const struct cfi_code_range *ranges; /* NULL: anywhere */
    size_t n_ranges;
    uint64_t n_input_bytes; /* of the file or the record, which bounds the page index */
    const char *origin;     /* static */
};

/* 0, -ENODATA where nothing is described, or another negative errno with the reason. */
int cfi_compile(const struct cfi_compile_input *input, struct cfi_table **ret_table,
                struct error *reterr_error);
