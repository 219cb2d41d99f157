/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * cfi_plt - descriptions of the stubs that a linker left without any
 *
 * GNU ld and gold describe the procedure linkage table of x86-64; lld and mold
 * do not, nobody does where a program is linked statically, and none on
 * aarch64. A stub is a handful of instructions that push at most two words:
 * what they do to the stack is read from them, and told in the form of
 * .eh_frame, so that it is compiled like everything else.
 *
 * Owner:   the caller holds the text.
 * Threads: the one of the elf_file.
 * Limits:  the first eight such sections; a section with an instruction that is
 *          not known is left out (lld's -z retpolineplt).
 * Source:  System V ABI for AMD64, section 5.2; ELF for the Arm 64-bit
 *          Architecture, section "Program Loading"; what GNU ld 2.40, gold,
 *          lld 14 and mold 1.10 write.
 * Tests:   cfi_plt_test.c, tests/e2e/test_plt.py; tests/fuzz/fuzz_cfi.c
 */

#include "base/text.h"
#include "images/elf_file.h"
#include "unwind/cfi_table.h"

#define CFI_PLT_MAX_BYTES (16u << 20)

/* Is this a section of such stubs? */
bool cfi_plt_is_section(const struct elf_section *section);

/*
 * Appends one CIE and an FDE per section to an initialized text, which stays
 * empty where there is nothing to describe. Their addresses are absolute.
 */
void cfi_plt_describe(struct elf_file *elf, enum cfi_machine machine, struct text *text);
