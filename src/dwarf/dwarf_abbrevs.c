/* SPDX-License-Identifier: MIT */
#include "dwarf/dwarf_abbrevs.h"

#include <errno.h>

#include "dwarf/dwarf_abi.h"
#include "dwarf/dwarf_die.h"

void dwarf_abbrevs_release(struct dwarf_abbrevs *abbrevs)
{
    free(abbrevs->abbrevs);
    free(abbrevs->attributes);
    *abbrevs = (struct dwarf_abbrevs){0};
}

/* Adds what a form takes to the size of an entry. */
static void add_form_size(uint16_t form, struct dwarf_abbrev *abbrev)
{
    switch (form) {
    case DW_FORM_flag_present:
    case DW_FORM_implicit_const:
        break;
    case DW_FORM_data1:
    case DW_FORM_ref1:
    case DW_FORM_flag:
    case DW_FORM_strx1:
    case DW_FORM_addrx1:
        abbrev->n_plain_bytes += 1;
        break;
    case DW_FORM_data2:
    case DW_FORM_ref2:
    case DW_FORM_strx2:
    case DW_FORM_addrx2:
        abbrev->n_plain_bytes += 2;
        break;
    case DW_FORM_strx3:
    case DW_FORM_addrx3:
        abbrev->n_plain_bytes += 3;
        break;
    case DW_FORM_data4:
    case DW_FORM_ref4:
    case DW_FORM_ref_sup4:
    case DW_FORM_strx4:
    case DW_FORM_addrx4:
        abbrev->n_plain_bytes += 4;
        break;
    case DW_FORM_data8:
    case DW_FORM_ref8:
    case DW_FORM_ref_sig8:
    case DW_FORM_ref_sup8:
        abbrev->n_plain_bytes += 8;
        break;
    case DW_FORM_data16:
        abbrev->n_plain_bytes += 16;
        break;
    case DW_FORM_addr:
        abbrev->n_addresses++;
        break;
    case DW_FORM_strp:
    case DW_FORM_sec_offset:
    case DW_FORM_line_strp:
    case DW_FORM_strp_sup:
    case DW_FORM_GNU_ref_alt:
    case DW_FORM_GNU_strp_alt:
        abbrev->n_offsets++;
        break;
    default: /* blocks, strings, LEB128; DW_FORM_ref_addr differs in DWARF 2 */
        abbrev->has_fixed_size = false;
        break;
    }
}

/* Of the attribute that comes next. */
static void keep_sibling(uint16_t form, struct dwarf_abbrev *abbrev)
{
    bool is_fixed = abbrev->has_fixed_size && form == DW_FORM_ref4;
    abbrev->sibling = is_fixed ? DWARF_SIBLING_FIXED : DWARF_SIBLING_SOMEWHERE;
    abbrev->sibling_plain_bytes = abbrev->n_plain_bytes;
    abbrev->sibling_addresses = abbrev->n_addresses;
    abbrev->sibling_offsets = abbrev->n_offsets;
}

static int add_attribute(struct dwarf_abbrevs *abbrevs, struct dwarf_abbrev *abbrev,
                         const struct dwarf_attribute *attribute)
{
    if (abbrev->n_attributes >= DWARF_ABBREV_ATTRIBUTES_MAX ||
        abbrevs->n_attributes >= (size_t)DWARF_ABBREVS_MAX * 16) {
        return -E2BIG;
    }
    if (abbrevs->n_attributes == abbrevs->attributes_capacity) {
        size_t capacity = abbrevs->attributes_capacity ? abbrevs->attributes_capacity * 2 : 256;
        struct dwarf_attribute *grown = reallocarray(abbrevs->attributes, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        abbrevs->attributes = grown;
        abbrevs->attributes_capacity = capacity;
    }
    abbrevs->attributes[abbrevs->n_attributes++] = *attribute;
    abbrev->n_attributes++;
    if (attribute->name == DW_AT_sibling) {
        keep_sibling(attribute->form, abbrev);
    }
    add_form_size(attribute->form, abbrev);
    return 0;
}

static int add_abbrev(struct dwarf_abbrevs *abbrevs, const struct dwarf_abbrev *abbrev)
{
    if (abbrevs->n_abbrevs >= DWARF_ABBREVS_MAX) {
        return -E2BIG;
    }
    if (abbrevs->n_abbrevs == abbrevs->abbrevs_capacity) {
        size_t capacity = abbrevs->abbrevs_capacity ? abbrevs->abbrevs_capacity * 2 : 64;
        struct dwarf_abbrev *grown = reallocarray(abbrevs->abbrevs, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        abbrevs->abbrevs = grown;
        abbrevs->abbrevs_capacity = capacity;
    }
    abbrevs->abbrevs[abbrevs->n_abbrevs++] = *abbrev;
    return 0;
}

static int read_attributes(struct bytes *bytes, struct dwarf_abbrevs *abbrevs,
                           struct dwarf_abbrev *abbrev)
{
    for (;;) {
        uint64_t name = bytes_take_uleb128(bytes);
        uint64_t form = bytes_take_uleb128(bytes);
        struct dwarf_attribute attribute = {
            .name = name < UINT16_MAX ? (uint16_t)name : UINT16_MAX,
            .form = form < UINT16_MAX ? (uint16_t)form : UINT16_MAX,
        };
        attribute.place = dwarf_die_place_of(attribute.name);
        if (form == DW_FORM_implicit_const) {
            attribute.constant = bytes_take_sleb128(bytes);
        }
        if (bytes_has_failed(bytes)) {
            return -EBADMSG;
        }
        if (name == 0 && form == 0) {
            return 0;
        }
        int r = add_attribute(abbrevs, abbrev, &attribute);
        if (r < 0) {
            return r;
        }
    }
}

static int compare_codes(const void *left, const void *right)
{
    const struct dwarf_abbrev *one = left;
    const struct dwarf_abbrev *other = right;
    return (one->code > other->code) - (one->code < other->code);
}

static int read_table(struct bytes *bytes, uint64_t last_code, struct dwarf_abbrevs *abbrevs)
{
    bool is_sorted = true;
    uint64_t previous_code = 0;
    while (bytes_left(bytes) > 0) {
        uint64_t code = bytes_take_uleb128(bytes);
        if (code == 0) {
            break;
        }
        uint64_t tag = bytes_take_uleb128(bytes);
        struct dwarf_abbrev abbrev = {
            .code = code,
            .tag = tag < UINT16_MAX ? (uint16_t)tag : UINT16_MAX,
            .has_children = bytes_take_u8(bytes) != 0,
            .has_fixed_size = true,
            .first_attribute = (uint32_t)abbrevs->n_attributes,
        };
        int r = read_attributes(bytes, abbrevs, &abbrev);
        if (r == 0) {
            r = add_abbrev(abbrevs, &abbrev);
        }
        if (r < 0) {
            return r;
        }
        is_sorted = is_sorted && code > previous_code;
        previous_code = code;
        if (code == last_code) {
            break;
        }
    }
    if (!is_sorted) {
        qsort(abbrevs->abbrevs, abbrevs->n_abbrevs, sizeof(*abbrevs->abbrevs), compare_codes);
    }
    return bytes_has_failed(bytes) ? -EBADMSG : 0;
}

int dwarf_abbrevs_read(struct bytes bytes, uint64_t last_code, struct dwarf_abbrevs *ret_abbrevs)
{
    struct dwarf_abbrevs abbrevs = {0};
    int r = read_table(&bytes, last_code, &abbrevs);
    if (r < 0) {
        dwarf_abbrevs_release(&abbrevs);
        return r;
    }
    *ret_abbrevs = abbrevs;
    return 0;
}

const struct dwarf_abbrev *dwarf_abbrevs_search(const struct dwarf_abbrevs *abbrevs, uint64_t code)
{
    struct dwarf_abbrev wanted = {.code = code};
    return abbrevs->n_abbrevs == 0 ? NULL
                                   : bsearch(&wanted, abbrevs->abbrevs, abbrevs->n_abbrevs,
                                             sizeof(*abbrevs->abbrevs), compare_codes);
}
