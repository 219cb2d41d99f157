/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * dwarf_file - the units of one debug file, and which addresses each is about
 *
 * Opening walks from unit to unit and reads the first entry of each, nothing
 * else, so that it takes time by their number and not by their size. There is
 * no need for .debug_aranges, which some compilers do not write.
 *
 * Shape:   units in the order of the file; spans of addresses in theirs.
 * Owner:   dwarf_file_open()/_free(); it takes both descriptors.
 * Threads: one at a time; dwarf_file_find_unit() any once it is open.
 * Limits:  DWARF_UNITS_MAX units; DWARF_RANGES_MAX spans.
 * Source:  DWARF 5, 3.1 and 7.5.1.
 * Tests:   dwarf_file_test.c; tests/fuzz/fuzz_dwarf_lines.c
 */

#include <stdatomic.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "dwarf/dwarf_sections.h"
#include "dwarf/dwarf_unit.h"

#define DWARF_UNITS_MAX (1u << 22)
#define DWARF_UNIT_NONE UINT32_MAX

struct dwarf_unit_list {
    size_t n_units, capacity;
    struct dwarf_unit *units; /* by offset */
};

struct dwarf_unit_span {
    uint64_t start_addr, end_addr;
    uint64_t max_end_addr; /* of this and all before it */
    uint32_t unit;
};

struct dwarf_file {
    struct dwarf_sources sources; /* sections; alternate or NULL */
    char *path;
    const atomic_bool *is_cancelled;
    struct dwarf_unit_list units, alternate_units;
    size_t n_spans;
    struct dwarf_unit_span *spans; /* by start_addr */
    /* A package of split units; looked for when the first skeleton is read. */
    struct dwarf_sections *package;
    bool has_looked_for_package;
};

/*
 * `takes_alternate_fd` is what dwz moved out of it, or -1. `path` is where
 * split files are looked for. At the deadline (0: none) the file has the units
 * that were found by then. 0, or as dwarf_sections_open(); the descriptors are
 * closed on failure too.
 */
int dwarf_file_open(int takes_fd, int takes_alternate_fd, const char *path,
                    const atomic_bool *is_cancelled, uint64_t deadline_ns,
                    struct dwarf_file **ret_file);
struct dwarf_file *dwarf_file_free(struct dwarf_file *file);
DEFINE_FREEP(dwarf_file);

/* The unit that has code at this address, or DWARF_UNIT_NONE. */
uint32_t dwarf_file_find_unit(const struct dwarf_file *file, uint64_t image_addr);

/* The unit that holds this offset of .debug_info, or NULL. */
const struct dwarf_unit *dwarf_unit_list_find(const struct dwarf_unit_list *list,
                                              uint64_t info_offset);

/* See dwarf_sections_drop() and _set_deadline(), for all of its sections. */
void dwarf_file_drop(struct dwarf_file *file);
void dwarf_file_set_deadline(struct dwarf_file *file, uint64_t deadline_ns);
size_t dwarf_file_memory_bytes(const struct dwarf_file *file);

/* The package beside the file, or NULL. */
struct dwarf_sections *dwarf_file_package(struct dwarf_file *file);
