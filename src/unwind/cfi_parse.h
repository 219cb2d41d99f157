/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * cfi_parse - the entries of .eh_frame and .debug_frame
 *
 * Walks the entries of a section: what descriptions have in common (CIE) and
 * the descriptions of functions (FDE). Their programs are run by cfi_program.
 *
 * Owner:   everything borrows the section's bytes.
 * Threads: any; no state.
 * Limits:  each entry is read once; sizes and encodings that no compiler writes
 *          are refused.
 * Source:  DWARF 5, sections 6.4.1 and 7.24; Linux Standard Base Core 5.0,
 *          section 10.6 (.eh_frame), 10.5 (pointer encodings).
 * Tests:   cfi_parse_test.c; tests/fuzz/fuzz_cfi.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "unwind/cfi_table.h"

/* Pointer encodings (DW_EH_PE_*): a format in the lower bits, what to add in the upper ones. */
enum cfi_pointer_encoding {
    CFI_POINTER_ADDRESS = 0x00,
    CFI_POINTER_ULEB128 = 0x01,
    CFI_POINTER_U16 = 0x02,
    CFI_POINTER_U32 = 0x03,
    CFI_POINTER_U64 = 0x04,
    CFI_POINTER_SLEB128 = 0x09,
    CFI_POINTER_S16 = 0x0a,
    CFI_POINTER_S32 = 0x0b,
    CFI_POINTER_S64 = 0x0c,
    CFI_POINTER_FORMAT_MASK = 0x0f,
    CFI_POINTER_PC_RELATIVE = 0x10,
    CFI_POINTER_DATA_RELATIVE = 0x30,
    CFI_POINTER_ALIGNED = 0x50,
    CFI_POINTER_BASE_MASK = 0x70,
    CFI_POINTER_INDIRECT = 0x80,
    CFI_POINTER_OMITTED = 0xff,
};

struct cfi_section {
    enum cfi_machine machine;
    struct bytes bytes;  /* the whole section */
    uint64_t addr;       /* image_addr of its first byte */
    bool is_debug_frame; /* else .eh_frame, which refers to itself otherwise */
    bool ends_at_zero;   /* its size is not known: a length of 0 is the end */
};

/* One entry, header taken off. */
struct cfi_entry {
    uint64_t offset; /* of its first byte in the section */
    bool is_cie;
    uint64_t cie_offset; /* of an FDE */
    struct bytes body;
};

/* What the descriptions of several functions have in common. */
struct cfi_cie {
    uint8_t pointer_encoding; /* of addresses of code */
    bool has_augmentation;    /* FDEs carry a length and bytes before their program */
    bool is_signal_frame;
    uint32_t return_register;
    uint32_t code_factor;
    int32_t data_factor;
    struct bytes program;
};

struct cfi_fde {
    uint64_t start_addr, n_bytes; /* image_addr */
    struct bytes program;
};

/* .eh_frame of a file, found by its section or through its program header. */
bool cfi_elf_eh_frame(struct elf_file *elf, struct cfi_section *ret_section);

/*
 * Takes the next entry; `rest` starts as section->bytes. false: there is no
 * more; then bytes_has_failed(rest) tells whether the section ends in one that
 * is cut off.
 */
bool cfi_entry_next(const struct cfi_section *section, struct bytes *rest,
                    struct cfi_entry *ret_entry);

/* false: it makes no sense, or is of a kind that nobody uses. */
bool cfi_cie_read(const struct cfi_entry *entry, struct cfi_cie *ret_cie);
bool cfi_fde_read(const struct cfi_section *section, const struct cfi_cie *cie,
                  const struct cfi_entry *entry, struct cfi_fde *ret_fde);

/*
 * A pointer at bytes->at. base_addr is the image_addr of start (the first byte
 * that pc-relative pointers are counted from), data_addr what data-relative
 * ones count from. Fails like any read where the encoding is unknown.
 */
uint64_t cfi_pointer_take(struct bytes *bytes, uint8_t encoding, const uint8_t *start,
                          uint64_t base_addr, uint64_t data_addr);
