/* SPDX-License-Identifier: MIT */
/*
 * fuzz_debug_links - what a file of anybody's says of its debug files
 *
 * Links, the packed symbol table, and the comparison of two files' addresses:
 * the file with its own packed table, which is as foreign as itself.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "images/elf_file.h"
#include "symbols/address_shift.h"
#include "symbols/debug_links.h"
#include "symbols/elf_symbols.h"
#include "symbols/function_table.h"
#include "symbols/minidebug.h"

/* Less than what is unpacked for real, so that the fuzzer is not busy with zeros. */
#define MAX_UNPACKED_BYTES (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void read_links(struct elf_file *file)
{
    struct debug_link link;
    if (debug_link_read(file, &link) && strchr(link.name, '/')) {
        abort();
    }
    struct debug_alternate_link alternate;
    if (debug_alternate_link_read(file, &alternate) &&
        (strlen(alternate.path) == 0 || alternate.build_id_bytes > LIMIT_BUILD_ID_BYTES)) {
        abort();
    }
}

static void load_names(struct elf_file *file, const struct address_shift *shift)
{
    _cleanup_(function_table_freep) struct function_table *table = NULL;
    const char *origin;
    if (function_table_new("fuzz", FRAME_KIND_USER, &table) == 0 &&
        elf_symbols_add(file, shift, table, &origin) == 0 && function_table_sort(table) == 0) {
        for (size_t i = 0; i < shift->n_ranges; i++) {
            uint64_t image_addr = shift->ranges[i].image_addr;
            (void)function_table_find(table, image_addr);
            (void)address_shift_to_image(shift, address_shift_to_debug(shift, image_addr));
        }
    }
}

static void unpack(struct elf_file *file)
{
    struct elf_section section;
    struct bytes packed;
    if (!elf_file_section_named(file, ".gnu_debugdata", &section) ||
        !elf_file_section_bytes(file, section.index, &packed)) {
        return;
    }
    _cleanup_(freep) char *unpacked = NULL;
    size_t unpacked_bytes = 0;
    if (minidebug_unpack_bytes(packed, MAX_UNPACKED_BYTES, &unpacked, &unpacked_bytes) < 0) {
        return;
    }
    if (unpacked_bytes > MAX_UNPACKED_BYTES) {
        abort();
    }
    _cleanup_(elf_file_freep) struct elf_file *inner = NULL;
    if (elf_file_open_memory(unpacked, unpacked_bytes, &inner, NULL) == 0) {
        struct address_shift shift;
        address_shift_compare(file, inner, &shift);
        load_names(inner, &shift);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    _cleanup_(elf_file_freep) struct elf_file *file = NULL;
    if (elf_file_open_memory(data, n_bytes, &file, NULL) < 0) {
        return 0;
    }
    uint8_t build_id[LIMIT_BUILD_ID_BYTES];
    (void)elf_file_build_id(file, build_id);
    read_links(file);
    unpack(file);
    return 0;
}
