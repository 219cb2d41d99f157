/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * dwarf_abbrevs - the table that says how the entries of a unit are written
 *
 * Shape:   by code; the codes that compilers give are 1, 2, 3, so that the
 *          code is the index, and a search where they are not.
 * Owner:   dwarf_abbrevs_release(). Copies everything.
 * Threads: one fills it, then any.
 * Limits:  DWARF_ABBREVS_MAX entries, DWARF_ABBREV_ATTRIBUTES_MAX attributes
 *          of one, 16 times as many of all.
 * Source:  DWARF 5, 7.5.3.
 * Tests:   dwarf_abbrevs_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/cleanup.h"

#define DWARF_ABBREVS_MAX (1u << 20)
#define DWARF_ABBREV_ATTRIBUTES_MAX 4096u

struct dwarf_attribute {
    uint16_t name;    /* DW_AT_*; 0xffff for those past it */
    uint16_t form;    /* DW_FORM_* */
    uint16_t place;   /* of its value in struct dwarf_die; 0: it has none */
    int64_t constant; /* of DW_FORM_implicit_const */
};

/* Whether entries say where the next one at their level is. */
enum dwarf_sibling { DWARF_SIBLING_NONE, DWARF_SIBLING_FIXED, DWARF_SIBLING_SOMEWHERE };

struct dwarf_abbrev {
    uint64_t code;
    uint16_t tag; /* DW_TAG_* */
    bool has_children;
    /* Without a form whose size the entry itself tells, an entry takes
     * n_plain_bytes + n_addresses * address size + n_offsets * offset size. */
    bool has_fixed_size;
    uint16_t n_addresses, n_offsets;
    uint32_t n_plain_bytes;
    /* Where FIXED: four bytes behind what stands here, counted like the entry. */
    enum dwarf_sibling sibling;
    uint16_t sibling_addresses, sibling_offsets;
    uint32_t sibling_plain_bytes;
    uint32_t first_attribute, n_attributes;
};

struct dwarf_abbrevs {
    size_t n_abbrevs, abbrevs_capacity;
    struct dwarf_abbrev *abbrevs;
    size_t n_attributes, attributes_capacity;
    struct dwarf_attribute *attributes;
};

/*
 * Reads the table at the start of `bytes`, or only as far as `last_code` (0:
 * all). 0, -EBADMSG for what is no such table, -ENOMEM, -E2BIG past a limit.
 */
int dwarf_abbrevs_read(struct bytes bytes, uint64_t last_code, struct dwarf_abbrevs *ret_abbrevs);
void dwarf_abbrevs_release(struct dwarf_abbrevs *abbrevs);
DEFINE_RELEASEP(dwarf_abbrevs);

const struct dwarf_abbrev *dwarf_abbrevs_search(const struct dwarf_abbrevs *abbrevs, uint64_t code);

/* NULL where the table has no such code. */
static inline const struct dwarf_abbrev *dwarf_abbrevs_find(const struct dwarf_abbrevs *abbrevs,
                                                            uint64_t code)
{
    if (code - 1 < abbrevs->n_abbrevs && abbrevs->abbrevs[code - 1].code == code) {
        return &abbrevs->abbrevs[code - 1];
    }
    return dwarf_abbrevs_search(abbrevs, code);
}
