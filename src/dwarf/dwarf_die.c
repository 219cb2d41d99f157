/* SPDX-License-Identifier: MIT */
#include "dwarf/dwarf_die.h"

#include <stddef.h>
#include <string.h>

#include "dwarf/dwarf_abi.h"

/* DW_FORM_indirect may name itself; nobody does it twice. */
#define MAX_INDIRECTIONS 4

static inline uint64_t take_sized(struct bytes *bytes, unsigned n_bytes)
{
    uint64_t value = 0;
    bytes_take_into(bytes, &value, n_bytes); /* little-endian */
    return value;
}

static inline struct dwarf_value value_of(enum dwarf_value_kind kind, uint64_t number)
{
    return (struct dwarf_value){.kind = kind, .number = number};
}

/* The forms that nearly all attributes have; the others follow. */
static struct dwarf_value take_usual(struct bytes *bytes, const struct dwarf_encoding *encoding,
                                     uint16_t form)
{
    switch (form) {
    case DW_FORM_data1:
    case DW_FORM_flag:
        return value_of(DWARF_VALUE_CONSTANT, take_sized(bytes, 1));
    case DW_FORM_data2:
        return value_of(DWARF_VALUE_CONSTANT, take_sized(bytes, 2));
    case DW_FORM_data4:
        return value_of(DWARF_VALUE_CONSTANT, take_sized(bytes, 4));
    case DW_FORM_data8:
        return value_of(DWARF_VALUE_CONSTANT, take_sized(bytes, 8));
    case DW_FORM_flag_present:
        return value_of(DWARF_VALUE_CONSTANT, 1);
    case DW_FORM_ref4:
        return value_of(DWARF_VALUE_REF_UNIT, take_sized(bytes, 4));
    case DW_FORM_addr:
        return value_of(DWARF_VALUE_ADDRESS, take_sized(bytes, encoding->address_bytes));
    case DW_FORM_strp:
        return value_of(DWARF_VALUE_STRING, take_sized(bytes, encoding->offset_bytes));
    case DW_FORM_sec_offset:
        return value_of(DWARF_VALUE_OFFSET, take_sized(bytes, encoding->offset_bytes));
    default:
        return value_of(DWARF_VALUE_NONE, 0);
    }
}

static struct dwarf_value take_constant_or_reference(struct bytes *bytes,
                                                     const struct dwarf_encoding *encoding,
                                                     uint16_t form)
{
    switch (form) {
    case DW_FORM_sdata:
        return value_of(DWARF_VALUE_CONSTANT, (uint64_t)bytes_take_sleb128(bytes));
    case DW_FORM_udata:
        return value_of(DWARF_VALUE_CONSTANT, bytes_take_uleb128(bytes));
    case DW_FORM_ref1:
        return value_of(DWARF_VALUE_REF_UNIT, take_sized(bytes, 1));
    case DW_FORM_ref2:
        return value_of(DWARF_VALUE_REF_UNIT, take_sized(bytes, 2));
    case DW_FORM_ref8:
        return value_of(DWARF_VALUE_REF_UNIT, take_sized(bytes, 8));
    case DW_FORM_ref_udata:
        return value_of(DWARF_VALUE_REF_UNIT, bytes_take_uleb128(bytes));
    case DW_FORM_ref_addr: /* in DWARF 2 as large as an address */
        return value_of(DWARF_VALUE_REF_FILE,
                        take_sized(bytes, encoding->version == 2 ? encoding->address_bytes
                                                                 : encoding->offset_bytes));
    case DW_FORM_GNU_ref_alt:
        return value_of(DWARF_VALUE_REF_ALT, take_sized(bytes, encoding->offset_bytes));
    case DW_FORM_ref_sup4:
        return value_of(DWARF_VALUE_REF_ALT, take_sized(bytes, 4));
    case DW_FORM_ref_sup8:
        return value_of(DWARF_VALUE_REF_ALT, take_sized(bytes, 8));
    default:
        return value_of(DWARF_VALUE_NONE, 0);
    }
}

static struct dwarf_value take_string(struct bytes *bytes, const struct dwarf_encoding *encoding,
                                      uint16_t form, uint64_t info_offset)
{
    switch (form) {
    case DW_FORM_string:
        (void)bytes_take_string(bytes);
        return value_of(DWARF_VALUE_STRING_HERE, info_offset);
    case DW_FORM_line_strp:
        return value_of(DWARF_VALUE_STRING_LINE, take_sized(bytes, encoding->offset_bytes));
    case DW_FORM_strp_sup:
    case DW_FORM_GNU_strp_alt:
        return value_of(DWARF_VALUE_STRING_ALT, take_sized(bytes, encoding->offset_bytes));
    case DW_FORM_strx:
    case DW_FORM_GNU_str_index:
        return value_of(DWARF_VALUE_STRING_INDEX, bytes_take_uleb128(bytes));
    case DW_FORM_strx1:
        return value_of(DWARF_VALUE_STRING_INDEX, take_sized(bytes, 1));
    case DW_FORM_strx2:
        return value_of(DWARF_VALUE_STRING_INDEX, take_sized(bytes, 2));
    case DW_FORM_strx3:
        return value_of(DWARF_VALUE_STRING_INDEX, take_sized(bytes, 3));
    case DW_FORM_strx4:
        return value_of(DWARF_VALUE_STRING_INDEX, take_sized(bytes, 4));
    default:
        return value_of(DWARF_VALUE_NONE, 0);
    }
}

static struct dwarf_value take_index_or_block(struct bytes *bytes, uint16_t form)
{
    switch (form) {
    case DW_FORM_addrx:
    case DW_FORM_GNU_addr_index:
        return value_of(DWARF_VALUE_ADDRESS_INDEX, bytes_take_uleb128(bytes));
    case DW_FORM_addrx1:
        return value_of(DWARF_VALUE_ADDRESS_INDEX, take_sized(bytes, 1));
    case DW_FORM_addrx2:
        return value_of(DWARF_VALUE_ADDRESS_INDEX, take_sized(bytes, 2));
    case DW_FORM_addrx3:
        return value_of(DWARF_VALUE_ADDRESS_INDEX, take_sized(bytes, 3));
    case DW_FORM_addrx4:
        return value_of(DWARF_VALUE_ADDRESS_INDEX, take_sized(bytes, 4));
    case DW_FORM_rnglistx:
        return value_of(DWARF_VALUE_RANGES_INDEX, bytes_take_uleb128(bytes));
    case DW_FORM_loclistx:
        return value_of(DWARF_VALUE_OTHER, bytes_take_uleb128(bytes));
    case DW_FORM_block1:
        bytes_skip(bytes, take_sized(bytes, 1));
        break;
    case DW_FORM_block2:
        bytes_skip(bytes, take_sized(bytes, 2));
        break;
    case DW_FORM_block4:
        bytes_skip(bytes, take_sized(bytes, 4));
        break;
    case DW_FORM_block:
    case DW_FORM_exprloc:
        bytes_skip(bytes, bytes_take_uleb128(bytes));
        break;
    case DW_FORM_data16:
        bytes_skip(bytes, 16);
        break;
    case DW_FORM_ref_sig8:
        bytes_skip(bytes, 8);
        break;
    default: /* of unknown size: nothing behind it can be read */
        bytes->failed = true;
        return value_of(DWARF_VALUE_NONE, 0);
    }
    return value_of(DWARF_VALUE_OTHER, 0);
}

struct dwarf_value dwarf_value_take(struct bytes *bytes, const struct dwarf_encoding *encoding,
                                    const struct dwarf_attribute *attribute, uint64_t info_offset)
{
    uint16_t form = attribute->form;
    if (form == DW_FORM_implicit_const) {
        return value_of(DWARF_VALUE_CONSTANT, (uint64_t)attribute->constant);
    }
    for (int i = 0; form == DW_FORM_indirect && i < MAX_INDIRECTIONS; i++) {
        const uint8_t *before = bytes->at;
        uint64_t named = bytes_take_uleb128(bytes);
        form = named < UINT16_MAX ? (uint16_t)named : UINT16_MAX;
        info_offset += (uint64_t)(bytes->at - before);
    }
    struct dwarf_value value = take_usual(bytes, encoding, form);
    if (value.kind == DWARF_VALUE_NONE) {
        value = take_constant_or_reference(bytes, encoding, form);
    }
    if (value.kind == DWARF_VALUE_NONE) {
        value = take_string(bytes, encoding, form, info_offset);
    }
    if (value.kind == DWARF_VALUE_NONE) {
        value = take_index_or_block(bytes, form);
    }
    return value;
}

/* A number of any size and sign, however it is padded. */
static void skip_leb128(struct bytes *bytes)
{
    while (bytes_take_u8(bytes) >= 0x80) { /* a cursor that has failed gives 0 */
    }
}

/* The forms that fill compilers' output are stepped over without being read. */
void dwarf_value_skip(struct bytes *bytes, const struct dwarf_encoding *encoding, uint16_t form)
{
    switch (form) {
    case DW_FORM_flag_present:
    case DW_FORM_implicit_const:
        return;
    case DW_FORM_data1:
    case DW_FORM_ref1:
    case DW_FORM_flag:
    case DW_FORM_strx1:
    case DW_FORM_addrx1:
        bytes_skip(bytes, 1);
        return;
    case DW_FORM_data2:
    case DW_FORM_ref2:
    case DW_FORM_strx2:
    case DW_FORM_addrx2:
        bytes_skip(bytes, 2);
        return;
    case DW_FORM_data4:
    case DW_FORM_ref4:
        bytes_skip(bytes, 4);
        return;
    case DW_FORM_strp:
    case DW_FORM_sec_offset:
    case DW_FORM_line_strp:
        bytes_skip(bytes, encoding->offset_bytes);
        return;
    case DW_FORM_udata:
    case DW_FORM_sdata:
    case DW_FORM_ref_udata:
    case DW_FORM_strx:
    case DW_FORM_addrx:
        skip_leb128(bytes);
        return;
    case DW_FORM_exprloc:
        bytes_skip(bytes, bytes_take_uleb128(bytes));
        return;
    default: {
        struct dwarf_attribute attribute = {.form = form};
        (void)dwarf_value_take(bytes, encoding, &attribute, 0);
    }
    }
}

const struct dwarf_abbrev *dwarf_die_begin(struct bytes *bytes, const struct dwarf_source *source)
{
    uint64_t code = bytes_take_uleb128(bytes);
    if (code == 0) {
        return NULL;
    }
    const struct dwarf_abbrev *abbrev = dwarf_abbrevs_find(source->abbrevs, code);
    if (!abbrev) {
        bytes->failed = true;
    }
    return abbrev;
}

void dwarf_die_skip(struct bytes *bytes, const struct dwarf_source *source,
                    const struct dwarf_abbrev *abbrev)
{
    const struct dwarf_encoding *encoding = &source->encoding;
    if (abbrev->has_fixed_size) {
        bytes_skip(bytes, (size_t)abbrev->n_plain_bytes +
                              (size_t)abbrev->n_addresses * encoding->address_bytes +
                              (size_t)abbrev->n_offsets * encoding->offset_bytes);
        return;
    }
    for (uint32_t i = 0; i < abbrev->n_attributes && !bytes->failed; i++) {
        dwarf_value_skip(bytes, encoding,
                         source->abbrevs->attributes[abbrev->first_attribute + i].form);
    }
}

uint16_t dwarf_die_place_of(uint16_t attribute_name)
{
    switch (attribute_name) {
    case DW_AT_sibling:
        return offsetof(struct dwarf_die, sibling);
    case DW_AT_name:
        return offsetof(struct dwarf_die, name);
    case DW_AT_linkage_name:
    case DW_AT_MIPS_linkage_name:
        return offsetof(struct dwarf_die, linkage_name);
    case DW_AT_abstract_origin:
        return offsetof(struct dwarf_die, origin);
    case DW_AT_specification:
        return offsetof(struct dwarf_die, specification);
    case DW_AT_low_pc:
        return offsetof(struct dwarf_die, low_pc);
    case DW_AT_high_pc:
        return offsetof(struct dwarf_die, high_pc);
    case DW_AT_ranges:
        return offsetof(struct dwarf_die, ranges);
    case DW_AT_call_file:
        return offsetof(struct dwarf_die, call_file);
    case DW_AT_call_line:
        return offsetof(struct dwarf_die, call_line);
    case DW_AT_decl_file:
        return offsetof(struct dwarf_die, decl_file);
    case DW_AT_decl_line:
        return offsetof(struct dwarf_die, decl_line);
    case DW_AT_stmt_list:
        return offsetof(struct dwarf_die, stmt_list);
    case DW_AT_comp_dir:
        return offsetof(struct dwarf_die, comp_dir);
    case DW_AT_language:
        return offsetof(struct dwarf_die, language);
    case DW_AT_dwo_name:
    case DW_AT_GNU_dwo_name:
        return offsetof(struct dwarf_die, dwo_name);
    case DW_AT_GNU_dwo_id:
        return offsetof(struct dwarf_die, dwo_id);
    case DW_AT_str_offsets_base:
        return offsetof(struct dwarf_die, str_offsets_base);
    case DW_AT_addr_base:
    case DW_AT_GNU_addr_base:
        return offsetof(struct dwarf_die, addr_base);
    case DW_AT_rnglists_base:
        return offsetof(struct dwarf_die, rnglists_base);
    case DW_AT_GNU_ranges_base:
        return offsetof(struct dwarf_die, ranges_base);
    default:
        return 0;
    }
}

void dwarf_die_attributes(struct bytes *bytes, const struct dwarf_source *source,
                          const struct dwarf_abbrev *abbrev, struct dwarf_die *ret_die)
{
    memset(ret_die, 0, sizeof(*ret_die));
    ret_die->abbrev = abbrev;
    for (uint32_t i = 0; i < abbrev->n_attributes && !bytes->failed; i++) {
        const struct dwarf_attribute *attribute =
            &source->abbrevs->attributes[abbrev->first_attribute + i];
        if (attribute->place == 0) {
            dwarf_value_skip(bytes, &source->encoding, attribute->form);
            continue;
        }
        uint64_t info_offset = source->base_offset + (uint64_t)(bytes->at - source->base);
        struct dwarf_value value =
            dwarf_value_take(bytes, &source->encoding, attribute, info_offset);
        if (!bytes->failed) {
            memcpy((char *)ret_die + attribute->place, &value, sizeof(value));
        }
    }
}

struct dwarf_value dwarf_die_sibling(const struct bytes *bytes, const struct dwarf_source *source,
                                     const struct dwarf_abbrev *abbrev)
{
    struct bytes ahead = *bytes;
    if (abbrev->sibling == DWARF_SIBLING_FIXED) {
        bytes_skip(&ahead, (size_t)abbrev->sibling_plain_bytes +
                               (size_t)abbrev->sibling_addresses * source->encoding.address_bytes +
                               (size_t)abbrev->sibling_offsets * source->encoding.offset_bytes);
        uint64_t number = take_sized(&ahead, 4);
        return value_of(bytes_has_failed(&ahead) ? DWARF_VALUE_NONE : DWARF_VALUE_REF_UNIT, number);
    }
    struct dwarf_die die = {0};
    if (abbrev->sibling == DWARF_SIBLING_SOMEWHERE) {
        dwarf_die_attributes(&ahead, source, abbrev, &die);
    }
    return die.sibling;
}
