/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * dwarf_packed - a debug section that is stored compressed
 *
 * Shape:   the bytes behind the header that says how: zlib, as all tools write
 *          it, or Zstandard, which the ones since 2023 can.
 * Owner:   values; the descriptor is borrowed.
 * Threads: any, on their own targets.
 * Limits:  a size that the stored bytes cannot unfold to is refused before
 *          anything is allocated for it; memory grows with what has come.
 * Source:  System V ABI (Elf64_Chdr); RFC 1950, RFC 8878; ".zdebug" of GNU.
 * Tests:   dwarf_packed_test.c, dwarf_sections_test.c; tests/fuzz/fuzz_dwarf_lines.c
 */

#include <stdbool.h>
#include <stdint.h>

#include "dwarf/dwarf_budget.h"

enum dwarf_packing {
    DWARF_PACKING_NONE,
    DWARF_PACKING_ZLIB,
    DWARF_PACKING_ZSTD,
    DWARF_PACKING_UNKNOWN, /* or of a library that was absent when this was built */
};

struct dwarf_packed {
    enum dwarf_packing packing;
    uint64_t file_offset, n_file_bytes; /* behind the header */
    uint64_t n_bytes;                   /* unpacked; 0: it cannot be what it says */
};

enum dwarf_packed_header {
    DWARF_PACKED_HEADER_64,
    DWARF_PACKED_HEADER_32,
    DWARF_PACKED_HEADER_GNU, /* of ".zdebug_*" */
};

/* What the section of `n_file_bytes` at `file_offset` holds, by its header. */
void dwarf_packed_describe(int fd, uint64_t file_offset, uint64_t n_file_bytes,
                           enum dwarf_packed_header header, struct dwarf_packed *ret_packed);

/*
 * All n_bytes, in memory from the budget: give them back with
 * dwarf_budget_free(). Asks is_cancelled between steps. 0, -EIO for what cannot
 * be read or unpacked, -EFBIG, -ENOTSUP, -ENOMEM, -ECANCELED.
 */
int dwarf_packed_unpack(int fd, const struct dwarf_packed *packed,
                        bool (*is_cancelled)(const void *userdata), const void *userdata,
                        struct dwarf_budget *budget, uint8_t **ret_data);

/* All bytes or -EIO; -EIO too where the file ends before. */
int dwarf_packed_read_at(int fd, uint64_t file_offset, void *target, size_t n_bytes);
