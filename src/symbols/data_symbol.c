/* SPDX-License-Identifier: MIT */
#include "symbols/data_symbol.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "symbols/demangle.h"

struct best {
    uint64_t image_addr, n_bytes;
    char *name; /* in the string table */
    size_t n_name_bytes;
};

static void look_at(const struct elf_symbol *symbol, const struct bytes *names, uint64_t image_addr,
                    struct best *best)
{
    bool covers = symbol->type == STT_OBJECT && symbol->section != 0 &&
                  image_addr >= symbol->image_addr &&
                  image_addr - symbol->image_addr < symbol->n_bytes;
    if (!covers || symbol->name_offset >= bytes_left(names) ||
        (best->name && best->n_bytes <= symbol->n_bytes)) {
        return;
    }
    *best = (struct best){
        .image_addr = symbol->image_addr,
        .n_bytes = symbol->n_bytes,
        .name = (char *)names->at + symbol->name_offset,
        .n_name_bytes = bytes_left(names) - symbol->name_offset,
    };
}

static void look_in(struct elf_file *file, const char *table, uint64_t image_addr,
                    struct best *best)
{
    struct elf_section section;
    struct elf_symbol_cursor cursor;
    struct elf_symbol symbol;
    struct bytes names;
    if (!elf_file_section_named(file, table, &section) ||
        !elf_file_section_bytes(file, section.link, &names) ||
        !elf_file_symbols(file, section.index, &cursor)) {
        return;
    }
    while (elf_symbol_next(&cursor, &symbol)) {
        look_at(&symbol, &names, image_addr, best);
    }
}

bool data_symbol_find(struct elf_file *file, uint64_t image_addr, char *ret_name, size_t n_bytes,
                      uint64_t *ret_offset)
{
    struct best best = {.name = NULL};
    look_in(file, ".symtab", image_addr, &best);
    if (!best.name) {
        look_in(file, ".dynsym", image_addr, &best);
    }
    if (!best.name) {
        return false;
    }
    char *name = strndup(best.name, best.n_name_bytes);
    char *readable = name ? demangle(name) : NULL;
    snprintf(ret_name, n_bytes, "%s", readable ? readable : name ? name : "?");
    free(readable);
    free(name);
    *ret_offset = image_addr - best.image_addr;
    return true;
}
