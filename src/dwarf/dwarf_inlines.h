/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * dwarf_inlines - which function was inlined where, for all code of one unit
 *
 * One walk over the entries of the unit collects calls (an inlined function
 * in the one around it) and the ranges of code that each of them and each
 * function proper covers. Later ranges cover earlier ones: entries are nested
 * as the inlining is. What comes out is flat: finding the innermost call at
 * an address is a binary search.
 *
 * Shape:   rows by address, a row reaches to the next one; calls by number, a
 *          parent comes before its children; origins as places of entries.
 * Owner:   dwarf_inlines_release().
 * Threads: one at a time per file.
 * Limits:  DWARF_INLINES_MAX_CALLS calls; DWARF_RANGES_MAX ranges;
 *          DWARF_DEPTH_MAX levels, what is deeper is left out.
 * Source:  DWARF 5, 3.3.8.
 * Tests:   dwarf_inlines_test.c; tests/fuzz/fuzz_dwarf_lines.c
 */

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "dwarf/dwarf_names.h"
#include "dwarf/dwarf_ranges.h"
#include "dwarf/dwarf_unit.h"

#define DWARF_INLINES_MAX_CALLS (1u << 22)
#define DWARF_INLINE_NONE UINT32_MAX

struct dwarf_inline_call {
    uint32_t parent; /* DWARF_INLINE_NONE: the function proper */
    uint32_t origin;
    uint32_t call_file, call_line;
};

struct dwarf_inline_row {
    uint64_t start_addr;
    uint32_t call; /* the innermost one; DWARF_INLINE_NONE */
};

struct dwarf_inlines {
    size_t n_calls, calls_capacity;
    struct dwarf_inline_call *calls;
    size_t n_origins, origins_capacity;
    struct dwarf_place *origins;
    size_t n_rows;
    struct dwarf_inline_row *rows;
};

/* `reader` is of the unit. 0, -ENOMEM or -ECANCELED. */
int dwarf_inlines_read(const struct dwarf_sources *sources, const struct dwarf_unit *unit,
                       const struct dwarf_reader *reader, struct dwarf_inlines *ret_inlines);
void dwarf_inlines_release(struct dwarf_inlines *inlines);
DEFINE_RELEASEP(dwarf_inlines);

/* Ranges of calls, in the order of the walk. */
struct dwarf_inline_span {
    uint64_t start_addr, end_addr;
    uint32_t call;
    uint32_t order; /* higher covers lower */
};

/* Flattens them; sorts `spans`. *ret_rows is from malloc(). 0 or -ENOMEM. */
int dwarf_inlines_flatten(struct dwarf_inline_span *spans, size_t n_spans,
                          struct dwarf_inline_row **ret_rows, size_t *ret_n_rows);
