/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * dwarf_die - one debugging information entry, as far as code is concerned
 *
 * Reads the attributes that tell of code - addresses, names, origins, calls -
 * and steps over all others.
 *
 * Shape:   values are numbers and what they count: a string is the place where
 *          it stands, an address may be an index. dwarf_unit resolves them.
 * Owner:   values; nothing is borrowed but the abbreviation.
 * Threads: any.
 * Limits:  DWARF_DEPTH_MAX levels of entries below each other.
 * Source:  DWARF 5, 7.5; for the forms of DWARF 2 to 4 their chapters 7.5.
 * Tests:   dwarf_die_test.c; tests/fuzz/fuzz_dwarf_lines.c
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "dwarf/dwarf_abbrevs.h"

#define DWARF_DEPTH_MAX 1024u

enum dwarf_value_kind {
    DWARF_VALUE_NONE,
    DWARF_VALUE_ADDRESS,
    DWARF_VALUE_ADDRESS_INDEX,
    DWARF_VALUE_CONSTANT,
    DWARF_VALUE_OFFSET, /* in the section that the attribute means */
    DWARF_VALUE_RANGES_INDEX,
    DWARF_VALUE_STRING_HERE, /* offset in .debug_info */
    DWARF_VALUE_STRING,      /* offset in .debug_str */
    DWARF_VALUE_STRING_LINE, /* offset in .debug_line_str */
    DWARF_VALUE_STRING_INDEX,
    DWARF_VALUE_STRING_ALT, /* offset in .debug_str of the supplementary file */
    DWARF_VALUE_REF_UNIT,   /* offset from the unit's start */
    DWARF_VALUE_REF_FILE,   /* offset in .debug_info */
    DWARF_VALUE_REF_ALT,    /* offset in .debug_info of the supplementary file */
    DWARF_VALUE_OTHER,      /* of no use here */
};

struct dwarf_value {
    enum dwarf_value_kind kind;
    uint64_t number;
};

/* How the bytes of a unit are to be read. */
struct dwarf_encoding {
    uint16_t version;
    uint8_t address_bytes; /* 4 or 8 */
    uint8_t offset_bytes;  /* 4 or 8 */
};

struct dwarf_die {
    const struct dwarf_abbrev *abbrev; /* NULL: the end of a list of children */
    struct dwarf_value sibling, name, linkage_name, origin, specification;
    struct dwarf_value low_pc, high_pc, ranges;
    struct dwarf_value call_file, call_line, decl_file, decl_line;
    struct dwarf_value stmt_list, comp_dir, language, dwo_name, dwo_id;
    struct dwarf_value str_offsets_base, addr_base, rnglists_base, ranges_base;
};

/* The value at the cursor. `info_offset` is that of the cursor in .debug_info. */
struct dwarf_value dwarf_value_take(struct bytes *bytes, const struct dwarf_encoding *encoding,
                                    const struct dwarf_attribute *attribute, uint64_t info_offset);
void dwarf_value_skip(struct bytes *bytes, const struct dwarf_encoding *encoding, uint16_t form);

/*
 * The entry at the cursor. `base_offset` is where in .debug_info the byte `base`
 * stands. A code that no abbreviation has makes the cursor fail.
 */
struct dwarf_source {
    const struct dwarf_abbrevs *abbrevs;
    struct dwarf_encoding encoding;
    const uint8_t *base;
    uint64_t base_offset;
};

/* The abbreviation of the next entry, NULL at the end of a list (or when the cursor failed). */
const struct dwarf_abbrev *dwarf_die_begin(struct bytes *bytes, const struct dwarf_source *source);

/* After dwarf_die_begin(): one or the other. */
void dwarf_die_attributes(struct bytes *bytes, const struct dwarf_source *source,
                          const struct dwarf_abbrev *abbrev, struct dwarf_die *ret_die);
void dwarf_die_skip(struct bytes *bytes, const struct dwarf_source *source,
                    const struct dwarf_abbrev *abbrev);

/* After dwarf_die_begin(), before either: where the next entry at its level is, as it says. */
struct dwarf_value dwarf_die_sibling(const struct bytes *bytes, const struct dwarf_source *source,
                                     const struct dwarf_abbrev *abbrev);

/* Where in struct dwarf_die the attribute's value goes; 0: it is of no use. */
uint16_t dwarf_die_place_of(uint16_t attribute_name);
