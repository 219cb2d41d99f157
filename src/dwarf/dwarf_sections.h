/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * dwarf_sections - the debug sections of one file, read piece by piece
 *
 * A debug file can be larger than memory should be spent on, so nothing is
 * mapped and no section is read because it is there: a window of a section is
 * read when it is asked for. Sections that are compressed have no pieces; one
 * of them is inflated when its first byte is asked for, and given back by
 * dwarf_sections_drop(). Never mapped: a file that shrinks is a short read.
 *
 * Shape:   sections by meaning; in a split file (.dwo, .dwp) those named
 *          ".debug_x.dwo".
 * Owner:   dwarf_sections_open() takes the descriptor. A window is the
 *          caller's until dwarf_window_release(); it may borrow from the
 *          sections, so it must not outlive the next dwarf_sections_drop().
 * Threads: one at a time; *is_cancelled may be set by another.
 * Limits:  what is kept whole and large windows come from a dwarf_budget, the
 *          process's own where no other is set.
 * Source:  DWARF 5, 7.3.5 and appendix B.
 * Tests:   dwarf_sections_test.c; tests/fuzz/fuzz_dwarf_lines.c
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "dwarf/dwarf_budget.h"

#define DWARF_CODE_RANGES_MAX 64

enum dwarf_section {
    DWARF_INFO,
    DWARF_ABBREV,
    DWARF_LINE,
    DWARF_STR,
    DWARF_LINE_STR,
    DWARF_ADDR,
    DWARF_STR_OFFSETS,
    DWARF_RANGES,
    DWARF_RNGLISTS,
    DWARF_CU_INDEX, /* of a .dwp */
    DWARF_SECTION_N
};

struct dwarf_sections;

struct dwarf_window {
    const uint8_t *at;
    size_t n_bytes;
    void *owned;                 /* NULL where the bytes are borrowed */
    struct dwarf_budget *budget; /* that they are from; NULL: they are too few to count */
};

void dwarf_window_release(struct dwarf_window *window);
DEFINE_RELEASEP(dwarf_window);

/*
 * Looks at the section table only. 0, -ENOEXEC for what is no little-endian
 * ELF file, -ENOENT where it has no .debug_info and no .debug_line. On
 * failure the descriptor stays the caller's. `is_cancelled` may be NULL.
 */
int dwarf_sections_open(int takes_fd, const atomic_bool *is_cancelled,
                        struct dwarf_sections **ret_sections);
struct dwarf_sections *dwarf_sections_free(struct dwarf_sections *sections);
DEFINE_FREEP(dwarf_sections);

/* Does the file bear names that end in ".dwo"? */
bool dwarf_sections_are_split(const struct dwarf_sections *sections);

/* Between opening and reading only. Split files and packages get that of their skeleton's. */
void dwarf_sections_set_budget(struct dwarf_sections *sections, struct dwarf_budget *budget);

/* Budget, deadline and cancellation as those of `of`. */
void dwarf_sections_inherit(struct dwarf_sections *sections, const struct dwarf_sections *of);

/* Reading gives up at this time (CLOCK_MONOTONIC; 0: never), however much there is to read. */
void dwarf_sections_set_deadline(struct dwarf_sections *sections, uint64_t deadline_ns);

/* Has the deadline passed, or the program that waits for this been told to end? */
bool dwarf_sections_is_cancelled(const struct dwarf_sections *sections);

/* Uncompressed; 0 where there is no such section. As the file claims: nothing of it may be there.
 */
uint64_t dwarf_sections_n_bytes(const struct dwarf_sections *sections, enum dwarf_section which);

/*
 * Up to n_bytes from offset on: fewer at the end of the section. 0, -ENOENT
 * where there is not one byte, -ENOMEM, -EFBIG, -EIO, -ECANCELED, or -ENOTSUP
 * for a compression that is not known.
 */
int dwarf_sections_read(struct dwarf_sections *sections, enum dwarf_section which, uint64_t offset,
                        uint64_t n_bytes, struct dwarf_window *ret_window);

/*
 * Tells that a string was read from here. After the first few thousand the
 * section is kept whole, when it is not too large: that is quicker than to go
 * to the file for each.
 */
void dwarf_sections_count_string(struct dwarf_sections *sections, enum dwarf_section which);

/* All of it, borrowed until dwarf_sections_drop(). As dwarf_sections_read(). */
int dwarf_sections_whole(struct dwarf_sections *sections, enum dwarf_section which,
                         struct bytes *ret_bytes);

/* Gives back whatever is kept in memory; it is read again when it is needed. */
void dwarf_sections_drop(struct dwarf_sections *sections);
size_t dwarf_sections_memory_bytes(const struct dwarf_sections *sections);

/* Is there code at this link-time address? What a linker has dropped stands at 0, 1 or -1. */
bool dwarf_sections_has_code_at(const struct dwarf_sections *sections, uint64_t image_addr);
