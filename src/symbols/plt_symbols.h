/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * plt_symbols - names for the stubs through which a file calls other files
 *
 * A stub has no symbol. It jumps through a word of the global offset table,
 * and a relocation tells whose address the loader writes there: the name of
 * that symbol, with "@plt" behind it, is the stub's. Where the loader asks a
 * function of the file for the address (STT_GNU_IFUNC), it is that one's name.
 *
 * Owner, Threads: see elf_symbols.h.
 * Limits:  x86-64 and aarch64; stubs of other shapes keep no name.
 * Source:  System V ABI, AMD64 supplement, "Procedure Linkage Table"; Arm's
 *          "ELF for the Arm 64-bit Architecture" and "A64 Base Instructions".
 * Tests:   plt_symbols_test.c
 */

#include "images/elf_file.h"
#include "symbols/function_table.h"

/* `named` is .dynsym, or .symtab (static programs); `names_base` is where its names begin
 * in the table. */
int plt_symbols_load(struct elf_file *file, const struct elf_section *named, uint32_t names_base,
                     struct function_table *table);
