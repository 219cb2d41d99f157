/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * cfi_extents - where the functions of a file begin and end
 *
 * Unwind information stays when symbols are stripped. It has no names, but one
 * description per function: enough to tell one function without a name from
 * the next.
 *
 * Owner:   the caller frees the array.
 * Threads: the one of the elf_file.
 * Limits:  one description per function is the rule, not the law: a function
 *          that was split (".cold") is two, and hand-written code can be one.
 * Tests:   cfi_extents_test.c; tests/fuzz/fuzz_cfi.c
 */

#include <stddef.h>
#include <stdint.h>

#include "images/elf_file.h"

struct cfi_extent {
    uint64_t start_addr, n_bytes; /* image_addr; n_bytes > 0 */
};

/*
 * All descriptions of .eh_frame that lie in loaded code, and each section of a
 * linker's stubs as a whole, by start; each start once. 0, or -ENOMEM; a file without any has 0
 * extents and *ret_extents is NULL.
 */
int cfi_extents_read(struct elf_file *elf, struct cfi_extent **ret_extents, size_t *ret_n_extents);
