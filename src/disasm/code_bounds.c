/* SPDX-License-Identifier: MIT */
#include "disasm/code_bounds.h"

/* The forms that linkers write; DW_EH_PE_* of the same document. */
#define VERSION 1
#define FORM_UDATA4 0x03
#define FORM_SIZE_MASK 0x07 /* sdata4 is 0x0b */
#define FORM_TABLE 0x3b     /* sdata4, relative to the header's own address */
#define ENTRY_BYTES 8

static uint64_t start_at(struct bytes table, uint64_t index, uint64_t header_addr)
{
    bytes_skip(&table, index * ENTRY_BYTES);
    return header_addr + (uint64_t)(int64_t)(int32_t)bytes_take_u32(&table);
}

bool code_bounds_find(struct bytes header, uint64_t header_addr, uint64_t address,
                      uint64_t *ret_start, uint64_t *ret_end)
{
    uint8_t version = bytes_take_u8(&header);
    uint8_t frame_form = bytes_take_u8(&header);
    uint8_t count_form = bytes_take_u8(&header);
    uint8_t table_form = bytes_take_u8(&header);
    bytes_skip(&header, 4); /* where .eh_frame is */
    uint64_t n_entries = bytes_take_u32(&header);
    if (bytes_has_failed(&header) || version != VERSION ||
        (frame_form & FORM_SIZE_MASK) != FORM_UDATA4 || count_form != FORM_UDATA4 ||
        table_form != FORM_TABLE) {
        return false;
    }
    if (n_entries > bytes_left(&header) / ENTRY_BYTES) {
        n_entries = bytes_left(&header) / ENTRY_BYTES;
    }
    uint64_t low = 0, high = n_entries;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (start_at(header, middle, header_addr) <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) {
        return false;
    }
    *ret_start = start_at(header, low - 1, header_addr);
    *ret_end = low < n_entries ? start_at(header, low, header_addr) : UINT64_MAX;
    /* A list out of order can lead anywhere. */
    return *ret_start <= address && address < *ret_end;
}
