/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * dwarf_unit - one compilation unit of a debug file: header, first entry, bytes
 *
 * Shape:   struct dwarf_unit is what its header and first entry say;
 *          struct dwarf_reader is its bytes and abbreviations while it is read.
 * Owner:   units are values. A reader is the caller's until
 *          dwarf_reader_release(), and borrows from the file's sections.
 * Threads: one at a time per file.
 * Limits:  DWARF_STRING_MAX_BYTES of a string.
 * Source:  DWARF 5, 7.5.1, 3.1 and 7.26 to 7.29; DebugFission for DWARF 4.
 * Tests:   dwarf_file_test.c; tests/fuzz/fuzz_dwarf_lines.c
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "dwarf/dwarf_abbrevs.h"
#include "dwarf/dwarf_die.h"
#include "dwarf/dwarf_sections.h"

#define DWARF_STRING_MAX_BYTES (64u * 1024)

struct dwarf_unit {
    uint64_t offset, end_offset; /* in .debug_info, with the header */
    uint32_t header_bytes;
    uint64_t abbrev_offset;
    struct dwarf_encoding encoding;
    uint8_t type; /* DW_UT_*; of DWARF 2 to 4 as its first entry says */
    uint16_t tag; /* DW_TAG_* of the first entry; 0: it was not read */
    uint16_t language;
    bool has_lines, has_dwo_id;
    uint64_t dwo_id;
    uint64_t low_pc, stmt_list;
    uint64_t str_offsets_base, addr_base, rnglists_base, ranges_base;
    struct dwarf_value comp_dir, dwo_name, name;
};

struct dwarf_sources {
    struct dwarf_sections *sections;
    /* Where addresses, old ranges and lines of a split file are; NULL: in `sections`. */
    struct dwarf_sections *skeleton;
    /* What dwz moved out; NULL: nothing. */
    struct dwarf_sections *alternate;
};

struct dwarf_reader {
    struct dwarf_window window;
    struct dwarf_abbrevs abbrevs;
    struct dwarf_source source;
};

/* The abbreviations that were read last: neighbours often share them. All zero at first. */
struct dwarf_abbrev_cache {
    bool is_filled, is_whole;
    uint64_t offset;
    struct dwarf_abbrevs abbrevs;
};

void dwarf_abbrev_cache_release(struct dwarf_abbrev_cache *cache);
DEFINE_RELEASEP(dwarf_abbrev_cache);

/*
 * Header and first entry of the unit at `offset`, the latter also into
 * ret_root (may be NULL). `abbrev_shift` is added to the header's offset of
 * abbreviations (packages). `cache` is of these sections, or NULL. 0, -ENOENT at the end, -EBADMSG,
 * or as dwarf_sections_read(). Where the header is good but the first entry is not, 0 with tag 0:
 * the next unit can still be found.
 */
int dwarf_unit_read(struct dwarf_sections *sections, uint64_t offset, uint64_t abbrev_shift,
                    struct dwarf_abbrev_cache *cache, struct dwarf_unit *ret_unit,
                    struct dwarf_die *ret_root);

/* The bytes of the unit; *ret_bytes starts at its first entry. */
int dwarf_reader_open(struct dwarf_sections *sections, const struct dwarf_unit *unit,
                      struct dwarf_reader *ret_reader, struct bytes *ret_bytes);
void dwarf_reader_release(struct dwarf_reader *reader);
DEFINE_RELEASEP(dwarf_reader);

/* The cursor at an offset in .debug_info; fails where that is not in the unit. */
struct bytes dwarf_reader_at(const struct dwarf_reader *reader, const struct dwarf_unit *unit,
                             uint64_t info_offset);

/*
 * Moves the cursor to the entry that `sibling` names, so that the children of
 * the one before it are not looked at. false, and nothing is moved, where that
 * is not ahead of it in the unit.
 */
bool dwarf_reader_jump(const struct dwarf_reader *reader, const struct dwarf_unit *unit,
                       struct dwarf_value sibling, struct bytes *bytes);

/* Copied into the arena; NULL where there is none or it cannot be read. */
const char *dwarf_unit_string(const struct dwarf_sources *sources, const struct dwarf_unit *unit,
                              struct dwarf_value value, struct arena *arena);

/* A string of a section by offset. */
const char *dwarf_section_string(struct dwarf_sections *sections, enum dwarf_section which,
                                 uint64_t offset, struct arena *arena);

/* false where the value is no address or its index leads nowhere. */
bool dwarf_unit_address(const struct dwarf_sources *sources, const struct dwarf_unit *unit,
                        struct dwarf_value value, uint64_t *ret_address);

/* The entry of .debug_addr. */
bool dwarf_unit_indexed_address(const struct dwarf_sources *sources, const struct dwarf_unit *unit,
                                uint64_t index, uint64_t *ret_address);
