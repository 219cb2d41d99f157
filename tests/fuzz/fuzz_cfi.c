/* SPDX-License-Identifier: MIT */
/*
 * fuzz_cfi - unwind information of anybody's, as tables are made of it
 *
 * The first byte says what the rest is: a section of either machine and form,
 * or a whole ELF file. What comes out must be a table that keeps what its
 * header promises, whatever went in.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "unwind/cfi_compile.h"
#include "unwind/cfi_extents.h"

#define SECTION_ADDR UINT64_C(0x400000)

/* The rows, and 1 MiB that a page index may always have. */
#define MEMORY_PER_INPUT 16u
#define MEMORY_FREE_BYTES (1u << 20)

enum shape {
    SHAPE_AARCH64 = 1,
    SHAPE_DEBUG_FRAME = 2,
    SHAPE_ENDS_AT_ZERO = 4,
    SHAPE_ELF = 8,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void require(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

static const struct cfi_row *find_slowly(const struct cfi_table *table, uint64_t pc)
{
    const struct cfi_row *found = &table->rows[0];
    for (uint32_t i = 0; i < table->n_rows && table->rows[i].pc <= pc; i++) {
        found = &table->rows[i];
    }
    return found;
}

static void check(const struct cfi_table *table, size_t n_input_bytes)
{
    uint64_t n_code_bytes = table->end_addr - table->base_addr;
    require(table->base_addr % CFI_PAGE_BYTES == 0);
    require(n_code_bytes > 0 && n_code_bytes <= UINT32_MAX);
    require(table->n_rows >= 2 && table->rows[0].pc == 0);
    require(table->n_pages == (n_code_bytes + CFI_PAGE_BYTES - 1) / CFI_PAGE_BYTES);
    require(cfi_table_memory_bytes(table) <= n_input_bytes * MEMORY_PER_INPUT + MEMORY_FREE_BYTES);
    require(table->rows[table->n_rows - 1].pc == n_code_bytes);
    require(table->rows[table->n_rows - 1].kind == CFI_NONE);
    for (uint32_t i = 1; i < table->n_rows; i++) {
        const struct cfi_row *row = &table->rows[i];
        require(row->pc > row[-1].pc);
        require(row->kind != row[-1].kind || row->cfa != row[-1].cfa || row->fp != row[-1].fp);
    }
    for (uint32_t page = 0; page <= table->n_pages; page++) {
        require(table->pages[page] < table->n_rows);
        require(page == 0 || table->pages[page] >= table->pages[page - 1]);
    }
    uint32_t step = table->n_rows / 16 + 1;
    for (uint32_t i = 0; i < table->n_rows; i += step) {
        for (uint32_t distance = 0; distance < 300; distance += 75) {
            uint64_t pc = (uint64_t)table->rows[i].pc + distance;
            struct cfi_row row = cfi_table_find(table, table->base_addr + pc);
            char text[100];
            cfi_row_print(table, &row, text, sizeof(text));
            require(pc >= n_code_bytes || row.pc == find_slowly(table, pc)->pc);
        }
    }
}

static void check_extents(struct elf_file *file, size_t n_input_bytes)
{
    _cleanup_(freep) struct cfi_extent *extents = NULL;
    size_t n_extents;
    require(cfi_extents_read(file, &extents, &n_extents) == 0);
    /* A description takes 4 bytes at the least, which compression can make less of. */
    require(n_extents <= n_input_bytes * 1024);
    for (size_t i = 0; i < n_extents; i++) {
        require(extents[i].n_bytes > 0);
        require(i == 0 || extents[i].start_addr > extents[i - 1].start_addr);
    }
}

static int compile_elf(const uint8_t *data, size_t n_bytes, struct cfi_table **ret_table)
{
    _cleanup_(elf_file_freep) struct elf_file *file = NULL;
    struct error error;
    int r = elf_file_open_memory(data, n_bytes, &file, &error);
    if (r < 0) {
        return r;
    }
    check_extents(file, n_bytes);
    return cfi_table_build_elf(file, ret_table, &error);
}

static int compile_section(uint8_t shape, const uint8_t *data, size_t n_bytes,
                           struct cfi_table **ret_table)
{
    enum cfi_machine machine =
        (shape & SHAPE_AARCH64) != 0 ? CFI_MACHINE_AARCH64 : CFI_MACHINE_X86_64;
    struct cfi_compile_input input = {
        .machine = machine,
        .sections = {{
            .machine = machine,
            .bytes = bytes_of(data, n_bytes),
            .addr = SECTION_ADDR,
            .is_debug_frame = (shape & SHAPE_DEBUG_FRAME) != 0,
            .ends_at_zero = (shape & SHAPE_ENDS_AT_ZERO) != 0,
        }},
        .n_sections = 1,
        .n_input_bytes = n_bytes,
        .origin = "fuzz",
    };
    struct error error;
    return cfi_compile(&input, ret_table, &error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    _cleanup_(cfi_table_freep) struct cfi_table *table = NULL;
    if (n_bytes == 0) {
        return 0;
    }
    bool is_elf = (data[0] & SHAPE_ELF) != 0;
    int r = is_elf ? compile_elf(data + 1, n_bytes - 1, &table)
                   : compile_section(data[0], data + 1, n_bytes - 1, &table);
    require((r == 0) == (table != NULL));
    /* What an ELF file holds compressed may be larger than the file. */
    if (table && !is_elf) {
        check(table, n_bytes);
    } else if (table) {
        check(table, n_bytes + table->n_rows * sizeof(table->rows[0]));
    }
    return 0;
}
