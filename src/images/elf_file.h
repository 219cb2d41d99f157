/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * elf_file - sections, segments and symbols of a file that nobody vouches for
 *
 * A door to libelf that answers in plain structs and bounds what it answers:
 * counts, sizes and string offsets of a corrupt file end in "no such thing".
 * The file is read with pread(2), never mapped, so that a file which shrinks
 * meanwhile is a short read and not a SIGBUS.
 *
 * Owner:   elf_file_open_*()/elf_file_free(). The descriptor or the memory
 *          behind it is borrowed until then; so is all that it hands out.
 * Threads: one per elf_file; two of them may live on two threads.
 * Limits:  ELF_LAYOUT_MAX_SEGMENTS loadable segments (executable ones first);
 *          what comes after them is not translated. A section or piece of a
 *          segment past ELF_SECTION_MAX_BYTES is not read: libelf allocates as
 *          much as the file claims, and a hole of any size costs the file nothing.
 * Source:  System V ABI, chapters 4 and 5; elf(5).
 * Tests:   elf_file_test.c; tests/fuzz/fuzz_elf_symbols.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "model/limits.h"

#define ELF_LAYOUT_MAX_SEGMENTS 64
#define ELF_SECTION_MAX_BYTES (UINT64_C(1) << 30)

/* Where the loader puts the bytes of the file: enough to translate offsets, by value. */
struct elf_layout {
    size_t n_segments;
    size_t n_executable; /* the first ones */
    struct elf_segment {
        uint64_t file_offset, n_bytes;
        uint64_t image_addr;
    } segments[ELF_LAYOUT_MAX_SEGMENTS];
};

/* false where no segment loads this byte. */
bool elf_layout_find(const struct elf_layout *layout, uint64_t file_offset,
                     uint64_t *ret_image_addr);

struct elf_section {
    size_t index;
    const char *name; /* "" where it has none */
    uint32_t type;    /* SHT_* */
    uint64_t flags;   /* SHF_* */
    uint64_t image_addr, n_bytes;
    uint64_t file_offset; /* of its bytes, as the file claims */
    uint64_t entry_bytes; /* as the file claims */
    uint32_t link, info;
};

struct elf_symbol {
    uint32_t name_offset;  /* in the section that `link` of the symbol table names; unchecked */
    uint8_t type, binding; /* STT_*, STB_* */
    size_t section;        /* 0: none (undefined, absolute, common) */
    uint64_t image_addr, n_bytes;
};

/* A position in a symbol table; elf_file_symbols() makes it. */
struct elf_symbol_cursor {
    void *symbols, *wide_indexes; /* libelf's */
    size_t at, n_symbols;
};

struct elf_file;

/* Was something asked for that is past ELF_SECTION_MAX_BYTES? */
bool elf_file_is_too_large(const struct elf_file *file);

/* 0, or a negative errno with the reason: -ENOEXEC for what is no ELF file. */
int elf_file_open_descriptor(int fd, struct elf_file **ret_file, struct error *reterr_error);
int elf_file_open_memory(const void *data, size_t n_bytes, struct elf_file **ret_file,
                         struct error *reterr_error);
struct elf_file *elf_file_free(struct elf_file *file);
DEFINE_FREEP(elf_file);

const struct elf_layout *elf_file_layout(const struct elf_file *file);

/* EM_*, and whether words are 64-bit little-endian (the only ones that struct bytes can read). */
uint16_t elf_file_machine(const struct elf_file *file);
bool elf_file_is_64_bit_little_endian(const struct elf_file *file);
bool elf_file_is_little_endian(const struct elf_file *file);

/* As large as the file was when it was opened. */
uint64_t elf_file_n_bytes(const struct elf_file *file);

/* The id of the build, LIMIT_BUILD_ID_BYTES at most; 0 bytes where there is none. */
size_t elf_file_build_id(struct elf_file *file, uint8_t ret_build_id[LIMIT_BUILD_ID_BYTES]);

/* Section numbers go from 1 to this minus 1; 0 sections where the table is missing or corrupt. */
size_t elf_file_n_sections(const struct elf_file *file);
bool elf_file_section(struct elf_file *file, size_t index, struct elf_section *ret_section);
bool elf_file_section_named(struct elf_file *file, const char *name,
                            struct elf_section *ret_section);

/*
 * The section as it is in the file. false: nothing there, compressed, outside
 * the file, or past ELF_SECTION_MAX_BYTES.
 */
bool elf_file_section_bytes(struct elf_file *file, size_t index, struct bytes *ret_bytes);

/*
 * As elf_file_section_bytes(), but compressed sections are inflated; the bytes
 * stay until elf_file_free(). false also where they are more than max_bytes.
 */
bool elf_file_section_inflated(struct elf_file *file, size_t index, size_t max_bytes,
                               struct bytes *ret_bytes);

/* What the loader puts at image_addr, to the end of its segment, or as much as max_bytes. false:
 * nothing from the file. */
bool elf_file_loaded_bytes(struct elf_file *file, uint64_t image_addr, size_t max_bytes,
                           struct bytes *ret_bytes);

/* The first program header of a type (PT_*); for what sections would tell if they were there. */
bool elf_file_segment_of_type(struct elf_file *file, uint32_t type,
                              struct elf_segment *ret_segment);

/* Starts at the first symbol of an SHT_SYMTAB or SHT_DYNSYM section. */
bool elf_file_symbols(struct elf_file *file, size_t index, struct elf_symbol_cursor *ret_cursor);
bool elf_symbol_next(struct elf_symbol_cursor *cursor, struct elf_symbol *ret_symbol);
