/* SPDX-License-Identifier: MIT */
#include "dwarf/dwarf_ranges.h"

#include <errno.h>

#include "dwarf/dwarf_abi.h"

void dwarf_ranges_release(struct dwarf_ranges *ranges)
{
    free(ranges->ranges);
    *ranges = (struct dwarf_ranges){0};
}

/* What one list is read with. */
struct range_list {
    const struct dwarf_sources *sources;
    const struct dwarf_unit *unit;
    struct dwarf_ranges *ranges;
    struct bytes bytes;
    uint64_t base_addr;
};

static int add_range(const struct range_list *list, uint64_t start_addr, uint64_t end_addr)
{
    struct dwarf_ranges *ranges = list->ranges;
    const struct dwarf_sections *code =
        list->sources->skeleton ? list->sources->skeleton : list->sources->sections;
    if (start_addr >= end_addr || !dwarf_sections_has_code_at(code, start_addr)) {
        return 0;
    }
    if (ranges->n_ranges == ranges->capacity) {
        if (ranges->n_ranges >= DWARF_RANGES_MAX) {
            return -E2BIG;
        }
        size_t capacity = ranges->capacity ? ranges->capacity * 2 : 16;
        struct dwarf_range *grown = reallocarray(ranges->ranges, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        ranges->ranges = grown;
        ranges->capacity = capacity;
    }
    ranges->ranges[ranges->n_ranges++] =
        (struct dwarf_range){.start_addr = start_addr, .end_addr = end_addr};
    return 0;
}

static uint64_t take_address(struct range_list *list)
{
    return list->unit->encoding.address_bytes == 8 ? bytes_take_u64(&list->bytes)
                                                   : bytes_take_u32(&list->bytes);
}

/* An index that leads nowhere makes the list break off. */
static uint64_t take_indexed_address(struct range_list *list)
{
    uint64_t address = 0;
    if (!dwarf_unit_indexed_address(list->sources, list->unit, bytes_take_uleb128(&list->bytes),
                                    &address)) {
        list->bytes.failed = true;
    }
    return address;
}

/* 1 at the end of the list. */
static int read_rnglist_entry(struct range_list *list)
{
    uint8_t kind = bytes_take_u8(&list->bytes);
    uint64_t start_addr = 0;
    uint64_t end_addr = 0;
    switch (kind) {
    case DW_RLE_base_addressx:
        list->base_addr = take_indexed_address(list);
        return 0;
    case DW_RLE_base_address:
        list->base_addr = take_address(list);
        return 0;
    case DW_RLE_startx_endx:
        start_addr = take_indexed_address(list);
        end_addr = take_indexed_address(list);
        break;
    case DW_RLE_startx_length:
        start_addr = take_indexed_address(list);
        end_addr = start_addr + bytes_take_uleb128(&list->bytes);
        break;
    case DW_RLE_offset_pair:
        start_addr = list->base_addr + bytes_take_uleb128(&list->bytes);
        end_addr = list->base_addr + bytes_take_uleb128(&list->bytes);
        break;
    case DW_RLE_start_end:
        start_addr = take_address(list);
        end_addr = take_address(list);
        break;
    case DW_RLE_start_length:
        start_addr = take_address(list);
        end_addr = start_addr + bytes_take_uleb128(&list->bytes);
        break;
    default: /* DW_RLE_end_of_list, or what nobody knows */
        return 1;
    }
    return bytes_has_failed(&list->bytes) ? 1 : add_range(list, start_addr, end_addr);
}

static int read_old_entry(struct range_list *list)
{
    uint64_t base_mark =
        list->unit->encoding.address_bytes == 8 ? UINT64_MAX : (uint64_t)UINT32_MAX;
    uint64_t start = take_address(list);
    uint64_t end = take_address(list);
    if (bytes_has_failed(&list->bytes) || (start == 0 && end == 0)) {
        return 1;
    }
    if (start == base_mark) {
        list->base_addr = end;
        return 0;
    }
    return add_range(list, list->base_addr + start, list->base_addr + end);
}

/* The place in .debug_rnglists of a list that is known by its number. */
static bool find_rnglist(struct bytes bytes, const struct dwarf_unit *unit, uint64_t index,
                         uint64_t *ret_offset)
{
    unsigned entry_bytes = unit->encoding.offset_bytes;
    uint64_t at;
    if (__builtin_mul_overflow(index, entry_bytes, &at) ||
        __builtin_add_overflow(at, unit->rnglists_base, &at)) {
        return false;
    }
    bytes_skip(&bytes, at);
    uint64_t offset = entry_bytes == 8 ? bytes_take_u64(&bytes) : bytes_take_u32(&bytes);
    *ret_offset = unit->rnglists_base + offset;
    return !bytes_has_failed(&bytes);
}

static int add_list(struct range_list *list, struct dwarf_value value)
{
    const struct dwarf_sources *sources = list->sources;
    bool is_old = list->unit->encoding.version < 5;
    bool is_elsewhere = is_old && sources->skeleton != NULL;
    uint64_t offset = value.number;
    int r = dwarf_sections_whole(is_elsewhere ? sources->skeleton : sources->sections,
                                 is_old ? DWARF_RANGES : DWARF_RNGLISTS, &list->bytes);
    if (r < 0) {
        return r == -ENOMEM ? r : 0;
    }
    if (is_elsewhere) {
        offset += list->unit->ranges_base;
    }
    if (value.kind == DWARF_VALUE_RANGES_INDEX &&
        !find_rnglist(list->bytes, list->unit, value.number, &offset)) {
        return 0;
    }
    bytes_skip(&list->bytes, offset);
    r = 0;
    while (r == 0) {
        if (list->ranges->n_read++ >= DWARF_RANGES_MAX_READ) {
            return -E2BIG;
        }
        r = is_old ? read_old_entry(list) : read_rnglist_entry(list);
    }
    return r < 0 ? r : 0;
}

int dwarf_ranges_add(struct dwarf_ranges *ranges, const struct dwarf_sources *sources,
                     const struct dwarf_unit *unit, const struct dwarf_die *die)
{
    struct range_list list = {
        .sources = sources,
        .unit = unit,
        .ranges = ranges,
        .base_addr = unit->low_pc,
    };
    if (die->ranges.kind == DWARF_VALUE_OFFSET || die->ranges.kind == DWARF_VALUE_CONSTANT ||
        die->ranges.kind == DWARF_VALUE_RANGES_INDEX) {
        return add_list(&list, die->ranges);
    }
    uint64_t start_addr;
    uint64_t end_addr;
    if (!dwarf_unit_address(sources, unit, die->low_pc, &start_addr)) {
        return 0;
    }
    if (die->high_pc.kind == DWARF_VALUE_CONSTANT) {
        end_addr = start_addr + die->high_pc.number;
    } else if (!dwarf_unit_address(sources, unit, die->high_pc, &end_addr)) {
        return 0;
    }
    return add_range(&list, start_addr, end_addr);
}
