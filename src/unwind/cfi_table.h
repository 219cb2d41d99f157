/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * cfi_table - the unwind information of one image, compiled for lookups
 *
 * Made once per image from .eh_frame (else .debug_frame): what DWARF describes
 * with a program per function becomes a sorted array of rows, so that a step
 * of a stack walk is one search.
 *
 * Shape:   rows by pc, equal neighbours merged; code without information lies
 *          under rows of CFI_NONE. pages[p] is the row that holds for pc
 *          p * CFI_PAGE_BYTES, so that the row of a pc in page p is among
 *          pages[p] … pages[p + 1]; there are n_pages + 1 of them.
 * Owner:   cfi_table_build_*()/cfi_table_free(); immutable in between.
 * Threads: one builds; then any number may find.
 * Limits:  CFI_TABLE_MAX_ROWS rows; code within 4 GiB of its first function;
 *          time is linear in the bytes read. Whatever the bytes are, the
 *          result is a table or an error.
 * Source:  docs/design/0006-unwinding.md
 * Tests:   cfi_table_test.c, tests/fuzz/fuzz_cfi.c; bench/cfi
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "images/elf_file.h"
#include "unwind/cfi_row.h"

#define CFI_PAGE_BYTES 256u
#define CFI_TABLE_MAX_ROWS (1u << 24)

enum cfi_machine { CFI_MACHINE_X86_64, CFI_MACHINE_AARCH64 };

struct cfi_table {
    enum cfi_machine machine;
    uint64_t base_addr, end_addr; /* image_addr; base_addr is a multiple of CFI_PAGE_BYTES */
    uint32_t n_rows, n_pages;
    struct cfi_row *rows;
    uint32_t *pages;
    const char *origin;     /* ".eh_frame", ".debug_frame", both, "jitdump"; static */
    uint32_t n_functions;   /* descriptions read */
    uint32_t n_unsupported; /* rows of CFI_UNSUPPORTED */
    uint32_t n_refused;     /* descriptions that made no sense */
};

/*
 * From a file (or the vdso): 0, -ENODATA where it has no unwind information,
 * -ENOTSUP for a machine that we do not know, another negative errno with the
 * reason.
 */
int cfi_table_build_elf(struct elf_file *elf, struct cfi_table **ret_table,
                        struct error *reterr_error);

/* Where code can be; descriptions of anything else (code that a linker dropped) are refused. */
struct cfi_code_range {
    uint64_t start_addr, end_addr; /* image_addr */
};

/* From bytes in the form of .eh_frame that stand at section_addr: what a jitdump brings. `code`
 * NULL: anywhere. */
int cfi_table_build_eh_frame(enum cfi_machine machine, struct bytes eh_frame, uint64_t section_addr,
                             const struct cfi_code_range *code, struct cfi_table **ret_table,
                             struct error *reterr_error);

struct cfi_table *cfi_table_free(struct cfi_table *table);
DEFINE_FREEP(cfi_table);

size_t cfi_table_memory_bytes(const struct cfi_table *table);

/* The row that holds at image_addr; a row of CFI_NONE where there is none. */
struct cfi_row cfi_table_find(const struct cfi_table *table, uint64_t image_addr);

/* ".eh_frame 3713 functions 28274 rows", a text for people and tests: one row as
 * "0x1234 CFA=sp+16 fp=cfa-16". */
void cfi_row_print(const struct cfi_table *table, const struct cfi_row *row, char *ret_text,
                   size_t n_bytes);
