/* SPDX-License-Identifier: MIT */
#include "dwarf/dwarf_unit.h"

#include <errno.h>

#include "dwarf/dwarf_abi.h"

/* Enough for nearly every first entry; the whole unit is read where it is not. */
#define HEAD_BYTES 2048u
#define LONG_HEAD_BYTES (1024u * 1024)
#define STRING_STEP_BYTES 256u
#define DWARF_64_MARK 0xffffffffu

static uint64_t take_offset(struct bytes *bytes, unsigned n_bytes)
{
    return n_bytes == 8 ? bytes_take_u64(bytes) : bytes_take_u32(bytes);
}

static int read_header(struct bytes *bytes, uint64_t offset, uint64_t section_bytes,
                       struct dwarf_unit *unit)
{
    const uint8_t *start = bytes->at;
    unit->offset = offset;
    uint64_t n_bytes = bytes_take_u32(bytes);
    unit->encoding.offset_bytes = 4;
    if (n_bytes == DWARF_64_MARK) {
        unit->encoding.offset_bytes = 8;
        n_bytes = bytes_take_u64(bytes);
    }
    uint64_t body_offset = offset + (uint64_t)(bytes->at - start);
    if (bytes_has_failed(bytes) || n_bytes == 0 || body_offset > section_bytes ||
        n_bytes > section_bytes - body_offset) {
        return -EBADMSG;
    }
    unit->end_offset = body_offset + n_bytes;
    unit->encoding.version = bytes_take_u16(bytes);
    unit->type = DW_UT_compile;
    if (unit->encoding.version >= 5) {
        unit->type = bytes_take_u8(bytes);
        unit->encoding.address_bytes = bytes_take_u8(bytes);
        unit->abbrev_offset = take_offset(bytes, unit->encoding.offset_bytes);
    } else {
        unit->abbrev_offset = take_offset(bytes, unit->encoding.offset_bytes);
        unit->encoding.address_bytes = bytes_take_u8(bytes);
    }
    if (unit->type == DW_UT_skeleton || unit->type == DW_UT_split_compile) {
        unit->dwo_id = bytes_take_u64(bytes);
        unit->has_dwo_id = true;
    } else if (unit->type == DW_UT_type || unit->type == DW_UT_split_type) {
        bytes_skip(bytes, 8 + unit->encoding.offset_bytes);
    }
    unit->header_bytes = (uint32_t)(bytes->at - start);
    return bytes_has_failed(bytes) || offset + unit->header_bytes > unit->end_offset ? -EBADMSG : 0;
}

static bool can_be_read(const struct dwarf_unit *unit)
{
    return unit->encoding.version >= 2 && unit->encoding.version <= 5 &&
           (unit->encoding.address_bytes == 4 || unit->encoding.address_bytes == 8);
}

static struct bytes abbrevs_at(struct dwarf_sections *sections, uint64_t offset)
{
    struct bytes bytes = {.failed = true};
    if (dwarf_sections_whole(sections, DWARF_ABBREV, &bytes) == 0) {
        bytes_skip(&bytes, offset);
    }
    return bytes;
}

/* A section offset is a plain number before DWARF 4. */
static bool is_offset(struct dwarf_value value)
{
    return value.kind == DWARF_VALUE_OFFSET || value.kind == DWARF_VALUE_CONSTANT;
}

static void keep_base(struct dwarf_value value, uint64_t *kept)
{
    if (is_offset(value)) {
        *kept = value.number;
    }
}

static void keep_root(struct dwarf_unit *unit, const struct dwarf_die *root)
{
    unit->tag = root->abbrev->tag;
    unit->comp_dir = root->comp_dir;
    unit->name = root->name;
    unit->dwo_name = root->dwo_name;
    unit->has_lines = is_offset(root->stmt_list);
    keep_base(root->stmt_list, &unit->stmt_list);
    keep_base(root->str_offsets_base, &unit->str_offsets_base);
    keep_base(root->addr_base, &unit->addr_base);
    keep_base(root->rnglists_base, &unit->rnglists_base);
    keep_base(root->ranges_base, &unit->ranges_base);
    if (root->language.kind == DWARF_VALUE_CONSTANT) {
        unit->language = (uint16_t)root->language.number;
    }
    if (root->dwo_id.kind == DWARF_VALUE_CONSTANT) {
        unit->dwo_id = root->dwo_id.number;
        unit->has_dwo_id = true;
    }
}

void dwarf_abbrev_cache_release(struct dwarf_abbrev_cache *cache)
{
    dwarf_abbrevs_release(&cache->abbrevs);
    *cache = (struct dwarf_abbrev_cache){0};
}

/* As far as `code`, into the cache. Of a broken table nothing is kept: it may be good up to
 * another. */
static void fill_cache(struct dwarf_abbrev_cache *cache, struct dwarf_sections *sections,
                       uint64_t offset, uint64_t code)
{
    if (cache->is_filled && cache->offset == offset &&
        (cache->is_whole || dwarf_abbrevs_find(&cache->abbrevs, code))) {
        return;
    }
    dwarf_abbrev_cache_release(cache);
    struct bytes table = abbrevs_at(sections, offset);
    if (!bytes_has_failed(&table) && dwarf_abbrevs_read(table, code, &cache->abbrevs) == 0) {
        cache->is_filled = true;
        cache->offset = offset;
        cache->is_whole = !dwarf_abbrevs_find(&cache->abbrevs, code);
    }
}

/* false: the bytes were not enough, or are no entry. */
static bool read_root(struct dwarf_sections *sections, struct bytes bytes, const uint8_t *start,
                      struct dwarf_abbrev_cache *cache, struct dwarf_unit *unit,
                      struct dwarf_die *root)
{
    struct bytes peeked = bytes;
    uint64_t code = bytes_take_uleb128(&peeked);
    if (bytes_has_failed(&peeked) || code == 0) {
        return false;
    }
    fill_cache(cache, sections, unit->abbrev_offset, code);
    struct dwarf_source source = {
        .abbrevs = &cache->abbrevs,
        .encoding = unit->encoding,
        .base = start,
        .base_offset = unit->offset,
    };
    const struct dwarf_abbrev *abbrev = dwarf_die_begin(&bytes, &source);
    if (!abbrev) {
        return false;
    }
    dwarf_die_attributes(&bytes, &source, abbrev, root);
    if (bytes_has_failed(&bytes)) {
        return false;
    }
    keep_root(unit, root);
    root->abbrev = NULL; /* it goes with its table */
    return true;
}

int dwarf_unit_read(struct dwarf_sections *sections, uint64_t offset, uint64_t abbrev_shift,
                    struct dwarf_abbrev_cache *cache, struct dwarf_unit *ret_unit,
                    struct dwarf_die *ret_root)
{
    _cleanup_(dwarf_abbrev_cache_releasep) struct dwarf_abbrev_cache own_cache = {0};
    cache = cache ? cache : &own_cache;
    struct dwarf_die unwanted_root;
    struct dwarf_die *root = ret_root ? ret_root : &unwanted_root;
    for (uint64_t head_bytes = HEAD_BYTES;; head_bytes = LONG_HEAD_BYTES) {
        _cleanup_(dwarf_window_releasep) struct dwarf_window window = {0};
        int r = dwarf_sections_read(sections, DWARF_INFO, offset, head_bytes, &window);
        if (r < 0) {
            return r;
        }
        struct bytes bytes = bytes_of(window.at, window.n_bytes);
        *ret_unit = (struct dwarf_unit){0};
        memset(root, 0, sizeof(*root));
        r = read_header(&bytes, offset, dwarf_sections_n_bytes(sections, DWARF_INFO), ret_unit);
        if (r < 0) {
            return r;
        }
        ret_unit->abbrev_offset += abbrev_shift;
        uint64_t in_window = ret_unit->end_offset - offset;
        if (in_window < window.n_bytes) {
            bytes.end = window.at + in_window;
        }
        if (!can_be_read(ret_unit) ||
            read_root(sections, bytes, window.at, cache, ret_unit, root) ||
            head_bytes == LONG_HEAD_BYTES || in_window <= window.n_bytes) {
            return 0;
        }
    }
}

int dwarf_reader_open(struct dwarf_sections *sections, const struct dwarf_unit *unit,
                      struct dwarf_reader *ret_reader, struct bytes *ret_bytes)
{
    *ret_reader = (struct dwarf_reader){0};
    int r = dwarf_sections_read(sections, DWARF_INFO, unit->offset, unit->end_offset - unit->offset,
                                &ret_reader->window);
    if (r < 0) {
        return r;
    }
    struct bytes table = abbrevs_at(sections, unit->abbrev_offset);
    r = bytes_has_failed(&table) ? -EBADMSG : dwarf_abbrevs_read(table, 0, &ret_reader->abbrevs);
    if (r < 0) {
        dwarf_reader_release(ret_reader);
        return r;
    }
    ret_reader->source = (struct dwarf_source){
        .abbrevs = &ret_reader->abbrevs,
        .encoding = unit->encoding,
        .base = ret_reader->window.at,
        .base_offset = unit->offset,
    };
    *ret_bytes = dwarf_reader_at(ret_reader, unit, unit->offset + unit->header_bytes);
    return 0;
}

void dwarf_reader_release(struct dwarf_reader *reader)
{
    dwarf_window_release(&reader->window);
    dwarf_abbrevs_release(&reader->abbrevs);
}

struct bytes dwarf_reader_at(const struct dwarf_reader *reader, const struct dwarf_unit *unit,
                             uint64_t info_offset)
{
    struct bytes bytes = bytes_of(reader->window.at, reader->window.n_bytes);
    if (info_offset < unit->offset + unit->header_bytes) {
        bytes.failed = true;
    }
    bytes_skip(&bytes, info_offset - unit->offset);
    return bytes;
}

bool dwarf_reader_jump(const struct dwarf_reader *reader, const struct dwarf_unit *unit,
                       struct dwarf_value sibling, struct bytes *bytes)
{
    uint64_t at = (uint64_t)(bytes->at - reader->window.at);
    if (sibling.kind != DWARF_VALUE_REF_UNIT || bytes->failed || sibling.number <= at ||
        sibling.number >= unit->end_offset - unit->offset ||
        sibling.number >= reader->window.n_bytes) {
        return false;
    }
    bytes->at = reader->window.at + sibling.number;
    return true;
}

const char *dwarf_section_string(struct dwarf_sections *sections, enum dwarf_section which,
                                 uint64_t offset, struct arena *arena)
{
    dwarf_sections_count_string(sections, which);
    for (uint64_t n_bytes = STRING_STEP_BYTES; n_bytes <= DWARF_STRING_MAX_BYTES; n_bytes *= 8) {
        _cleanup_(dwarf_window_releasep) struct dwarf_window window = {0};
        if (dwarf_sections_read(sections, which, offset, n_bytes, &window) < 0) {
            return NULL;
        }
        const uint8_t *nul = memchr(window.at, '\0', window.n_bytes);
        if (nul) {
            return arena_strndup(arena, (const char *)window.at, (size_t)(nul - window.at));
        }
    }
    return NULL;
}

/* Bytes of a table of `sections`, by index behind a base. */
static bool read_indexed(struct dwarf_sections *sections, enum dwarf_section which, uint64_t base,
                         uint64_t index, unsigned entry_bytes, uint64_t *ret_value)
{
    struct bytes bytes;
    uint64_t offset;
    if (__builtin_mul_overflow(index, entry_bytes, &offset) ||
        __builtin_add_overflow(offset, base, &offset) ||
        dwarf_sections_whole(sections, which, &bytes) < 0) {
        return false;
    }
    bytes_skip(&bytes, offset);
    *ret_value = take_offset(&bytes, entry_bytes);
    return !bytes_has_failed(&bytes);
}

const char *dwarf_unit_string(const struct dwarf_sources *sources, const struct dwarf_unit *unit,
                              struct dwarf_value value, struct arena *arena)
{
    uint64_t offset = value.number;
    switch (value.kind) {
    case DWARF_VALUE_STRING_HERE:
        return dwarf_section_string(sources->sections, DWARF_INFO, offset, arena);
    case DWARF_VALUE_STRING:
        return dwarf_section_string(sources->sections, DWARF_STR, offset, arena);
    case DWARF_VALUE_STRING_LINE:
        return dwarf_section_string(sources->sections, DWARF_LINE_STR, offset, arena);
    case DWARF_VALUE_STRING_ALT:
        return sources->alternate
                   ? dwarf_section_string(sources->alternate, DWARF_STR, offset, arena)
                   : NULL;
    case DWARF_VALUE_STRING_INDEX:
        if (!read_indexed(sources->sections, DWARF_STR_OFFSETS, unit->str_offsets_base, offset,
                          unit->encoding.offset_bytes, &offset)) {
            return NULL;
        }
        return dwarf_section_string(sources->sections, DWARF_STR, offset, arena);
    default:
        return NULL;
    }
}

bool dwarf_unit_indexed_address(const struct dwarf_sources *sources, const struct dwarf_unit *unit,
                                uint64_t index, uint64_t *ret_address)
{
    struct dwarf_sections *sections = sources->skeleton ? sources->skeleton : sources->sections;
    return read_indexed(sections, DWARF_ADDR, unit->addr_base, index, unit->encoding.address_bytes,
                        ret_address);
}

bool dwarf_unit_address(const struct dwarf_sources *sources, const struct dwarf_unit *unit,
                        struct dwarf_value value, uint64_t *ret_address)
{
    if (value.kind == DWARF_VALUE_ADDRESS) {
        *ret_address = value.number;
        return true;
    }
    return value.kind == DWARF_VALUE_ADDRESS_INDEX &&
           dwarf_unit_indexed_address(sources, unit, value.number, ret_address);
}
