/* SPDX-License-Identifier: MIT */
#include "symbols/elf_symbols.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "symbols/plt_symbols.h"
#include "unwind/cfi_plt.h"

/* By section number: what of it is code. Symbols are looked at by the hundred thousand. */
struct code_range {
    uint64_t start_addr, end_addr; /* empty where it is not code */
    uint64_t moved_by;             /* what makes an address of the file one of the image */
    bool has_stubs;                /* of the procedure linkage table */
};

struct code_ranges {
    size_t n_ranges;
    struct code_range *ranges;
};

static int find_code(struct elf_file *file, const struct address_shift *shift,
                     struct code_ranges *ret_code)
{
    size_t n_sections = elf_file_n_sections(file);
    struct code_range *ranges = calloc(n_sections > 0 ? n_sections : 1, sizeof(*ranges));
    if (!ranges) {
        return -ENOMEM;
    }
    for (size_t i = 1; i < n_sections; i++) {
        struct elf_section section;
        if (elf_file_section(file, i, &section) && (section.flags & SHF_EXECINSTR) != 0 &&
            (section.flags & SHF_ALLOC) != 0 &&
            section.n_bytes <= UINT64_MAX - section.image_addr) {
            ranges[i].start_addr = section.image_addr;
            ranges[i].end_addr = section.image_addr + section.n_bytes;
            ranges[i].moved_by =
                shift ? address_shift_to_image(shift, section.image_addr) - section.image_addr : 0;
            ranges[i].has_stubs = cfi_plt_is_section(&section);
        }
    }
    *ret_code = (struct code_ranges){.n_ranges = n_sections, .ranges = ranges};
    return 0;
}

static bool find_table(struct elf_file *file, uint32_t type, struct elf_section *ret_section)
{
    for (size_t i = 1; i < elf_file_n_sections(file); i++) {
        if (elf_file_section(file, i, ret_section) && ret_section->type == type) {
            return true;
        }
    }
    return false;
}

/* Marks of ARM and RISC-V assemblers for "code from here", "data from here". */
static bool is_mapping_symbol(const char *name)
{
    return name[0] == '$' && name[1] != '\0' && strchr("adtx", name[1]) != NULL &&
           (name[2] == '\0' || name[2] == '.');
}

/* mold calls its stubs "memcpy$plt" and "memcpy$pltgot". */
static bool is_stub_name(const char *name, size_t max_bytes)
{
    size_t n_bytes = strnlen(name, max_bytes);
    return memmem(name, n_bytes, "$plt", 4) != NULL;
}

static bool has_mapping_symbols(const struct elf_file *file)
{
    uint16_t machine = elf_file_machine(file);
    return machine == EM_AARCH64 || machine == EM_ARM || machine == EM_RISCV;
}

static enum function_rank rank_of(const struct elf_symbol *symbol)
{
    bool is_function = symbol->type == STT_FUNC || symbol->type == STT_GNU_IFUNC;
    if (!is_function) {
        return symbol->type == STT_NOTYPE ? FUNCTION_RANK_LABEL : FUNCTION_RANK_BOUNDARY;
    }
    switch (symbol->binding) {
    case STB_LOCAL:
        return FUNCTION_RANK_LOCAL;
    case STB_WEAK:
        return FUNCTION_RANK_WEAK;
    default:
        return FUNCTION_RANK_GLOBAL;
    }
}

/* The names of a symbol table, once they are part of the function table. */
struct names {
    struct bytes text; /* as in the file */
    uint32_t base;
};

static int add_names(struct elf_file *file, const struct elf_section *symbols,
                     struct function_table *table, struct names *ret_names)
{
    if (!elf_file_section_bytes(file, symbols->link, &ret_names->text)) {
        return -ENOENT;
    }
    return function_table_add_names(table, ret_names->text.at, bytes_left(&ret_names->text),
                                    &ret_names->base);
}

static int add_symbols(struct elf_file *file, const struct elf_section *symbols,
                       const struct names *names, const struct code_ranges *code,
                       struct function_table *table)
{
    struct elf_symbol_cursor cursor;
    if (!elf_file_symbols(file, symbols->index, &cursor)) {
        return 0;
    }
    bool drops_mapping_symbols = has_mapping_symbols(file);
    size_t names_bytes = bytes_left(&names->text);
    struct elf_symbol symbol;
    while (elf_symbol_next(&cursor, &symbol)) {
        enum function_rank rank = rank_of(&symbol);
        if (rank == FUNCTION_RANK_BOUNDARY || symbol.section >= code->n_ranges ||
            symbol.name_offset >= names_bytes) {
            continue;
        }
        const struct code_range *range = &code->ranges[symbol.section];
        if (symbol.image_addr < range->start_addr || symbol.image_addr >= range->end_addr) {
            continue;
        }
        /* The last name of a corrupt table may lack its NUL. */
        const char *name = (const char *)names->text.at + symbol.name_offset;
        bool has_mark = names_bytes - symbol.name_offset >= 3 && is_mapping_symbol(name);
        if (drops_mapping_symbols && has_mark) {
            continue;
        }
        struct function_entry entry = {
            .start_address = symbol.image_addr + range->moved_by,
            .n_bytes = symbol.n_bytes,
            .end_limit = range->end_addr + range->moved_by,
            .name = names->base + symbol.name_offset,
            .rank = range->has_stubs && is_stub_name(name, names_bytes - symbol.name_offset)
                        ? FUNCTION_RANK_PLT
                        : rank,
        };
        int r = function_table_add(table, &entry);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* Past a limit of the table its functions so far are worth having. */
static int load_tables(struct elf_file *file, const struct code_ranges *code,
                       struct function_table *table, const char **ret_origin)
{
    static const struct {
        uint32_t type;
        const char *name;
    } sources[] = {{SHT_SYMTAB, ".symtab"}, {SHT_DYNSYM, ".dynsym"}};

    const char *origin = "none";
    size_t n_before = function_table_count(table);
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        struct elf_section symbols;
        struct names names = {0};
        if (!find_table(file, sources[i].type, &symbols)) {
            continue;
        }
        int r = add_names(file, &symbols, table, &names);
        if (r == 0) {
            r = add_symbols(file, &symbols, &names, code, table);
        }
        if (r == 0) {
            r = plt_symbols_load(file, &symbols, names.base, table);
        }
        if (r == -ENOMEM) {
            return r;
        }
        if (origin[0] == 'n' && function_table_count(table) > n_before) {
            origin = sources[i].name;
        }
    }
    *ret_origin = origin;
    return 0;
}

int elf_symbols_add(struct elf_file *file, const struct address_shift *shift,
                    struct function_table *table, const char **ret_origin)
{
    struct code_ranges code;
    int r = find_code(file, shift, &code);
    if (r < 0) {
        return r;
    }
    r = load_tables(file, &code, table, ret_origin);
    free(code.ranges);
    return r;
}

int elf_symbols_load(struct elf_file *file, struct function_table *table, const char **ret_origin)
{
    const char *origin = "none";
    int r = elf_symbols_add(file, NULL, table, &origin);
    if (r == 0) {
        r = function_table_sort(table);
    }
    if (r == 0) {
        *ret_origin = origin;
    }
    return r;
}
