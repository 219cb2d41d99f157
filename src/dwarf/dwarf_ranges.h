/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * dwarf_ranges - which addresses an entry is about
 *
 * One range from DW_AT_low_pc to DW_AT_high_pc, or a list of them in
 * .debug_ranges (DWARF 3 and 4) or .debug_rnglists (DWARF 5).
 *
 * Shape:   a growing array of [start, end); empty ranges and those of code
 *          that the linker dropped are left out.
 * Owner:   dwarf_ranges_release().
 * Threads: one at a time per file.
 * Limits:  DWARF_RANGES_MAX ranges in one array, DWARF_RANGES_MAX_READ entries of
 *          lists read for it.
 * Source:  DWARF 5, 2.17 and 7.25; DWARF 4, 2.17.3.
 * Tests:   dwarf_file_test.c; tests/fuzz/fuzz_dwarf_lines.c
 */

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "dwarf/dwarf_unit.h"

#define DWARF_RANGES_MAX (1u << 22)
#define DWARF_RANGES_MAX_READ (1u << 26)

struct dwarf_range {
    uint64_t start_addr, end_addr;
};

struct dwarf_ranges {
    size_t n_ranges, capacity;
    size_t n_read; /* many entries may name one long list of nothing */
    struct dwarf_range *ranges;
};

void dwarf_ranges_release(struct dwarf_ranges *ranges);
DEFINE_RELEASEP(dwarf_ranges);

/*
 * Appends the ranges of `die`. 0 (also for an entry without any, and for a
 * list that breaks off), -ENOMEM or -E2BIG.
 */
int dwarf_ranges_add(struct dwarf_ranges *ranges, const struct dwarf_sources *sources,
                     const struct dwarf_unit *unit, const struct dwarf_die *die);
