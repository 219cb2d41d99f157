/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * elf_symbols - the functions that an ELF file names itself
 *
 * .symtab and .dynsym together: stripped files keep the second, others have
 * most in the first. Stubs of the procedure linkage table get the names of
 * what they call.
 *
 * Owner:   the table is the caller's.
 * Threads: the one of the elf_file.
 * Limits:  those of function_table; symbols outside executable sections and
 *          names outside the string table are dropped.
 * Source:  System V ABI, chapter 4 "Symbol Table"; elf(5).
 * Tests:   elf_symbols_test.c; tests/fuzz/fuzz_elf_symbols.c
 */

#include "images/elf_file.h"
#include "symbols/address_shift.h"
#include "symbols/function_table.h"

/*
 * Adds to `table`, which is sorted afterwards. *ret_origin is ".symtab",
 * ".dynsym" or "none". A file without symbols is no failure: 0, or -ENOMEM.
 */
int elf_symbols_load(struct elf_file *file, struct function_table *table, const char **ret_origin);

/*
 * The same without the sorting, so that several files fill one table. `shift`
 * (may be NULL) is from the image to `file` where that is its debug file.
 */
int elf_symbols_add(struct elf_file *file, const struct address_shift *shift,
                    struct function_table *table, const char **ret_origin);
