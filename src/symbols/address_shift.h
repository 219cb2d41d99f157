/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * address_shift - where the code of an image stands in its debug file
 *
 * Usually at the same addresses. A program that was moved after it had been
 * stripped (prelink, or a tool that rewrites segments) has others: sections
 * with the same name, or loadable segments in their order where the section
 * names are gone, tell by how much.
 *
 * Shape:   by value; no range means that all addresses are the same.
 * Owner:   the caller's memory.
 * Threads: any once filled.
 * Limits:  ADDRESS_SHIFT_MAX_RANGES ranges of code, the rest is not moved.
 * Tests:   address_shift_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "images/elf_file.h"

#define ADDRESS_SHIFT_MAX_RANGES 32

struct address_shift {
    size_t n_ranges;
    struct address_shift_range {
        uint64_t image_addr, debug_addr;
        uint64_t n_bytes;
    } ranges[ADDRESS_SHIFT_MAX_RANGES];
};

void address_shift_compare(struct elf_file *image, struct elf_file *debug,
                           struct address_shift *ret_shift);

/* An address of one in the other; what no range holds stays as it is. */
uint64_t address_shift_to_debug(const struct address_shift *shift, uint64_t image_addr);
uint64_t address_shift_to_image(const struct address_shift *shift, uint64_t debug_addr);
