/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * data_symbol - the variable that holds an address of a file's data
 *
 * Asked for now and then, of what threads wait on: the symbol table is read anew each time.
 *
 * Owner:   nothing is kept.
 * Threads: one per elf_file.
 * Limits:  names longer than the caller's memory are cut.
 * Source:  System V ABI, chapter 4
 * Tests:   data_symbol_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "images/elf_file.h"

/* false: no symbol of an object covers the link-time address. The innermost one, demangled. */
bool data_symbol_find(struct elf_file *file, uint64_t image_addr, char *ret_name, size_t n_bytes,
                      uint64_t *ret_offset);
