/* SPDX-License-Identifier: MIT */
/*
 * Descriptions are collected first and sorted by where their code starts; their
 * programs then run in that order, so that rows are born sorted.
 */
#include "unwind/cfi_compile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unwind/cfi_program.h"

/* The page index of very sparse code must not outgrow what described it. */
#define PAGES_PER_INPUT 4u
#define PAGES_FREE_BYTES (1u << 20)

struct common {
    uint32_t offset; /* ascending within a section */
    uint8_t section;
    bool is_right;
    struct cfi_cie cie;
    struct cfi_rules initial;
};

struct described {
    uint64_t start; /* image_addr; from base_addr once they are sorted */
    uint32_t n_bytes;
    uint32_t program_at, program_bytes; /* in the section */
    uint32_t common;
};

struct compilation {
    const struct cfi_compile_input *input;
    struct common *commons;
    struct described *functions, *spare; /* spare: as many again, to sort into */
    uint32_t n_commons, n_functions;
    uint32_t n_refused;
    uint64_t base_addr;
    struct cfi_rows rows;
};

static void compilation_release(struct compilation *compilation)
{
    free(compilation->commons);
    free(compilation->functions);
    free(compilation->spare);
    cfi_rows_release(&compilation->rows);
}
DEFINE_RELEASEP(compilation);

/* Makes room for all entries at once: what is kept of the small ones is larger than they are. */
static int make_room(struct compilation *compilation)
{
    size_t n_cies = 0;
    size_t n_fdes = 0;
    for (size_t i = 0; i < compilation->input->n_sections; i++) {
        const struct cfi_section *section = &compilation->input->sections[i];
        struct bytes rest = section->bytes;
        struct cfi_entry entry;
        if (bytes_left(&rest) > UINT32_MAX) {
            return -EFBIG;
        }
        while (cfi_entry_next(section, &rest, &entry)) {
            n_cies += entry.is_cie;
            n_fdes += !entry.is_cie;
        }
    }
    if (n_cies == 0 || n_fdes == 0) {
        return -ENODATA;
    }
    compilation->commons = calloc(n_cies, sizeof(compilation->commons[0]));
    compilation->functions = calloc(n_fdes, sizeof(compilation->functions[0]));
    return compilation->commons && compilation->functions ? 0 : -ENOMEM;
}

static void collect_commons(struct compilation *compilation, size_t section_index)
{
    const struct cfi_section *section = &compilation->input->sections[section_index];
    struct bytes rest = section->bytes;
    struct cfi_entry entry;
    while (cfi_entry_next(section, &rest, &entry)) {
        if (!entry.is_cie) {
            continue;
        }
        struct common *common = &compilation->commons[compilation->n_commons++];
        common->offset = (uint32_t)entry.offset;
        common->section = (uint8_t)section_index;
        common->is_right = cfi_cie_read(&entry, &common->cie);
        compilation->n_refused +=
            !common->is_right ||
            !cfi_program_begin(section->machine, &common->cie, &common->initial);
    }
    compilation->n_refused += bytes_has_failed(&rest);
}

/* By the offset that a description names; NULL where no entry starts there or it is wrong. */
static const struct common *find_common(const struct compilation *compilation,
                                        uint32_t first_common, uint64_t offset)
{
    uint32_t first = first_common;
    uint32_t end = compilation->n_commons;
    while (first < end) {
        uint32_t middle = first + (end - first) / 2;
        if (compilation->commons[middle].offset < offset) {
            first = middle + 1;
        } else {
            end = middle;
        }
    }
    const struct common *common = &compilation->commons[first];
    bool is_found = first < compilation->n_commons && common->offset == offset;
    return is_found && common->is_right ? common : NULL;
}

/* Cuts the function to the code that can be there. */
static bool fit(const struct compilation *compilation, struct cfi_fde *fde)
{
    const struct cfi_compile_input *input = compilation->input;
    struct cfi_code_range anywhere = {.start_addr = 0, .end_addr = UINT64_MAX};
    const struct cfi_code_range *ranges = input->ranges ? input->ranges : &anywhere;
    size_t n_ranges = input->ranges ? input->n_ranges : 1;
    for (size_t i = 0; i < n_ranges; i++) {
        if (fde->start_addr >= ranges[i].start_addr && fde->start_addr < ranges[i].end_addr) {
            uint64_t max_bytes = ranges[i].end_addr - fde->start_addr;
            max_bytes = max_bytes < UINT32_MAX ? max_bytes : UINT32_MAX;
            fde->n_bytes = fde->n_bytes < max_bytes ? fde->n_bytes : max_bytes;
            return true;
        }
    }
    return false;
}

/* first_common: of this section; those of the sections behind it have not been read yet. */
static void collect_functions(struct compilation *compilation, size_t section_index,
                              uint32_t first_common)
{
    const struct cfi_section *section = &compilation->input->sections[section_index];
    struct bytes rest = section->bytes;
    struct cfi_entry entry;
    const struct common *common = NULL;
    while (cfi_entry_next(section, &rest, &entry)) {
        struct cfi_fde fde;
        if (entry.is_cie) {
            continue;
        }
        if (!common || common->offset != entry.cie_offset) {
            common = find_common(compilation, first_common, entry.cie_offset);
        }
        if (!common || !cfi_fde_read(section, &common->cie, &entry, &fde) ||
            !fit(compilation, &fde)) {
            compilation->n_refused++;
            continue;
        }
        if (fde.n_bytes > 0) {
            compilation->functions[compilation->n_functions++] = (struct described){
                .start = fde.start_addr,
                .n_bytes = (uint32_t)fde.n_bytes,
                .program_at = (uint32_t)(fde.program.at - section->bytes.at),
                .program_bytes = (uint32_t)bytes_left(&fde.program),
                .common = (uint32_t)(common - compilation->commons),
            };
        }
    }
}

/* Counts addresses from the lowest one; what is too far away for a row is dropped. */
static bool rebase(struct compilation *compilation)
{
    uint64_t lowest = UINT64_MAX;
    for (uint32_t i = 0; i < compilation->n_functions; i++) {
        uint64_t start = compilation->functions[i].start;
        lowest = start < lowest ? start : lowest;
    }
    compilation->base_addr = lowest - lowest % CFI_PAGE_BYTES;
    uint32_t n_kept = 0;
    bool is_sorted = true;
    for (uint32_t i = 0; i < compilation->n_functions; i++) {
        struct described function = compilation->functions[i];
        function.start -= compilation->base_addr;
        if (function.start + function.n_bytes > UINT32_MAX) {
            compilation->n_refused++;
            continue;
        }
        is_sorted &= n_kept == 0 || compilation->functions[n_kept - 1].start <= function.start;
        compilation->functions[n_kept++] = function;
    }
    compilation->n_functions = n_kept;
    return is_sorted;
}

/* One byte of the key after the other, the lowest first; keeps the order of equal ones. */
static int sort(struct compilation *compilation)
{
    uint32_t n_functions = compilation->n_functions;
    compilation->spare = malloc(n_functions * sizeof(compilation->spare[0]));
    if (!compilation->spare) {
        return -ENOMEM;
    }
    for (unsigned int shift = 0; shift < 32; shift += 8) {
        uint32_t counts[256] = {0};
        for (uint32_t i = 0; i < n_functions; i++) {
            counts[compilation->functions[i].start >> shift & 0xff]++;
        }
        uint32_t next = 0;
        for (size_t digit = 0; digit < 256; digit++) {
            uint32_t count = counts[digit];
            counts[digit] = next;
            next += count;
        }
        for (uint32_t i = 0; i < n_functions; i++) {
            uint32_t *slot = &counts[compilation->functions[i].start >> shift & 0xff];
            compilation->spare[(*slot)++] = compilation->functions[i];
        }
        struct described *sorted = compilation->spare;
        compilation->spare = compilation->functions;
        compilation->functions = sorted;
    }
    free(compilation->spare);
    compilation->spare = NULL;
    return 0;
}

/* Returns where the described code ends. */
static uint32_t run_programs(struct compilation *compilation)
{
    const struct described *functions = compilation->functions;
    static const struct cfi_row none = {.kind = CFI_NONE};
    uint32_t covered = 0;
    for (uint32_t i = 0; i < compilation->n_functions; i++) {
        const struct described *function = &functions[i];
        uint32_t start_pc = (uint32_t)function->start;
        uint32_t end_pc = start_pc + function->n_bytes;
        if (i > 0 && functions[i - 1].start == function->start) {
            continue;
        }
        uint32_t next = i + 1;
        while (next < compilation->n_functions && functions[next].start == function->start) {
            next++;
        }
        if (next < compilation->n_functions && functions[next].start < end_pc) {
            end_pc = (uint32_t)functions[next].start;
        }
        if (start_pc > covered) {
            cfi_rows_add(&compilation->rows, covered, none);
        }
        const struct common *common = &compilation->commons[function->common];
        const struct cfi_section *section = &compilation->input->sections[common->section];
        struct cfi_function program = {
            .machine = section->machine,
            .cie = &common->cie,
            .initial = &common->initial,
            .base_addr = compilation->base_addr,
            .start_pc = start_pc,
            .end_pc = end_pc,
        };
        struct bytes instructions =
            bytes_of(section->bytes.at + function->program_at, function->program_bytes);
        compilation->n_refused += !cfi_program_run(&program, instructions, &compilation->rows);
        covered = end_pc;
        i = next - 1;
    }
    cfi_rows_add(&compilation->rows, covered, none);
    return covered;
}

static int make_pages(struct cfi_table *table, uint32_t end_pc, uint64_t max_bytes)
{
    table->n_pages = end_pc / CFI_PAGE_BYTES + (end_pc % CFI_PAGE_BYTES != 0);
    uint64_t n_bytes = ((uint64_t)table->n_pages + 1) * sizeof(table->pages[0]);
    if (n_bytes > max_bytes) {
        return -EFBIG;
    }
    table->pages = malloc(n_bytes);
    if (!table->pages) {
        return -ENOMEM;
    }
    uint32_t row = 0;
    for (uint32_t page = 0; page <= table->n_pages; page++) {
        uint64_t pc = (uint64_t)page * CFI_PAGE_BYTES;
        while (row + 1 < table->n_rows && table->rows[row + 1].pc <= pc) {
            row++;
        }
        table->pages[page] = row;
    }
    return 0;
}

static int make_table(struct compilation *compilation, uint32_t end_pc,
                      struct cfi_table **ret_table)
{
    const struct cfi_compile_input *input = compilation->input;
    struct cfi_rows *rows = &compilation->rows;
    if (rows->failure < 0) {
        return rows->failure;
    }
    _cleanup_(cfi_table_freep) struct cfi_table *table = calloc(1, sizeof(*table));
    if (!table) {
        return -ENOMEM;
    }
    table->machine = input->machine;
    table->base_addr = compilation->base_addr;
    table->end_addr = compilation->base_addr + end_pc;
    table->origin = input->origin;
    table->n_functions = compilation->n_functions;
    table->n_refused = compilation->n_refused;
    table->n_rows = rows->n_rows;
    table->rows = rows->rows;
    rows->rows = NULL;
    struct cfi_row *shrunk = realloc(table->rows, table->n_rows * sizeof(table->rows[0]));
    table->rows = shrunk ? shrunk : table->rows;
    for (uint32_t i = 0; i < table->n_rows; i++) {
        table->n_unsupported += table->rows[i].kind == CFI_UNSUPPORTED;
    }
    int r = make_pages(table, end_pc, input->n_input_bytes * PAGES_PER_INPUT + PAGES_FREE_BYTES);
    if (r == 0) {
        *ret_table = TAKE_PTR(table);
    }
    return r;
}

static int compile(struct compilation *compilation, struct cfi_table **ret_table)
{
    int r = make_room(compilation);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < compilation->input->n_sections; i++) {
        uint32_t first_common = compilation->n_commons;
        collect_commons(compilation, i);
        collect_functions(compilation, i, first_common);
    }
    if (compilation->n_functions == 0) {
        return -ENODATA;
    }
    if (!rebase(compilation)) {
        r = sort(compilation);
        if (r < 0) {
            return r;
        }
    }
    if (compilation->n_functions == 0) {
        return -ENODATA;
    }
    uint32_t end_pc = run_programs(compilation);
    return make_table(compilation, end_pc, ret_table);
}

int cfi_compile(const struct cfi_compile_input *input, struct cfi_table **ret_table,
                struct error *reterr_error)
{
    _cleanup_(compilation_releasep) struct compilation compilation = {.input = input};
    int r = compile(&compilation, ret_table);
    if (r == -ENODATA) {
        error_set(reterr_error, "no_unwind_information", "%s describes no code", input->origin);
    } else if (r == -EFBIG) {
        error_set(reterr_error, "bad_image", "%s describes more code than there can be",
                  input->origin);
    } else if (r < 0) {
        error_set_errno(reterr_error, r, "reading unwind information");
    }
    return r;
}

int cfi_table_build_eh_frame(enum cfi_machine machine, struct bytes eh_frame, uint64_t section_addr,
                             const struct cfi_code_range *code, struct cfi_table **ret_table,
                             struct error *reterr_error)
{
    struct cfi_compile_input input = {
        .machine = machine,
        .sections = {{.machine = machine, .bytes = eh_frame, .addr = section_addr}},
        .n_sections = 1,
        .ranges = code,
        .n_ranges = code ? 1 : 0,
        .n_input_bytes = bytes_left(&eh_frame),
        .origin = "jitdump",
    };
    return cfi_compile(&input, ret_table, reterr_error);
}
