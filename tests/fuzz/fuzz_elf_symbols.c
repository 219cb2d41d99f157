/* SPDX-License-Identifier: MIT */
/*
 * fuzz_elf_symbols - a file of anybody's, as the symbolizer reads it
 *
 * Reads the layout, the build-id and all functions, named or not, from memory,
 * then finds functions and makes their names around every kind of address that the file
 * mentions, and the variables there.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "images/elf_file.h"
#include "symbols/data_symbol.h"
#include "symbols/elf_symbols.h"
#include "symbols/function_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void find_around(struct function_table *table, uint64_t image_addr)
{
    for (uint64_t distance = 0; distance < 64; distance += 7) {
        (void)function_table_find(table, image_addr + distance);
        (void)function_table_find(table, image_addr - distance);
    }
}

static void find_variable(struct elf_file *file, uint64_t image_addr)
{
    char name[64];
    uint64_t offset;
    if (data_symbol_find(file, image_addr, name, sizeof(name), &offset) && offset > image_addr) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    _cleanup_(elf_file_freep) struct elf_file *file = NULL;
    _cleanup_(function_table_freep) struct function_table *table = NULL;
    struct error error;
    if (elf_file_open_memory(data, n_bytes, &file, &error) < 0 ||
        function_table_new("fuzz", FRAME_KIND_USER, &table) < 0) {
        return 0;
    }
    uint8_t build_id[LIMIT_BUILD_ID_BYTES];
    (void)elf_file_build_id(file, build_id);
    const char *origin;
    _cleanup_(freep) struct cfi_extent *extents = NULL;
    size_t n_extents;
    if (elf_symbols_add(file, NULL, table, &origin) < 0 ||
        cfi_extents_read(file, &extents, &n_extents) < 0 ||
        function_table_sort_within(table, extents, n_extents) < 0) {
        return 0;
    }
    find_around(table, 0);
    find_around(table, UINT64_MAX);
    for (size_t i = 1; i < elf_file_n_sections(file) && i < 64; i++) {
        struct elf_section section;
        if (elf_file_section(file, i, &section)) {
            find_around(table, section.image_addr);
            find_around(table, section.image_addr + section.n_bytes);
            find_variable(file, section.image_addr + section.n_bytes / 2);
        }
    }
    for (uint64_t offset = 0; offset < n_bytes; offset += 512) {
        uint64_t image_addr;
        if (elf_layout_find(elf_file_layout(file), offset, &image_addr)) {
            find_around(table, image_addr);
        }
    }
    return 0;
}
