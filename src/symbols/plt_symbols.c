/* SPDX-License-Identifier: MIT */
#include "symbols/plt_symbols.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "unwind/cfi_plt.h"

#define RELOCATION_BYTES 24
#define SYMBOL_BYTES 24
#define STUB_BYTES 16
#define INSTRUCTION_BYTES 4

/* Of names of one function; bounds what a hostile table costs. */
#define MAX_COMPARED_BYTES 64

/* Linkers write two or three of each; a hostile file could claim its whole self a million times. */
#define MAX_SECTIONS_OF_A_KIND 8

/* A word of the global offset table and the name (offset in the table's names) behind it. */
struct slot {
    uint64_t image_addr;
    uint32_t name;
};

struct slots {
    size_t n_slots, capacity;
    struct slot *slots;
};

/* A function that is chosen when the program starts: stubs name the one that chooses. */
struct chooser {
    uint64_t image_addr;
    const char *text; /* as in the file, where a NUL may be missing at the end */
    size_t max_bytes;
    uint32_t name;
};

struct choosers {
    size_t n_choosers;
    struct chooser *choosers;
};

static int add_slot(struct slots *slots, uint64_t image_addr, uint32_t name)
{
    if (slots->n_slots == slots->capacity) {
        size_t capacity = slots->capacity ? slots->capacity * 2 : 256;
        struct slot *grown = reallocarray(slots->slots, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        slots->slots = grown;
        slots->capacity = capacity;
    }
    slots->slots[slots->n_slots++] = (struct slot){.image_addr = image_addr, .name = name};
    return 0;
}

static bool fills_slot(uint16_t machine, uint32_t relocation_type)
{
    if (machine == EM_X86_64) {
        return relocation_type == R_X86_64_JUMP_SLOT || relocation_type == R_X86_64_GLOB_DAT;
    }
    return relocation_type == R_AARCH64_JUMP_SLOT || relocation_type == R_AARCH64_GLOB_DAT;
}

static int add_slots(struct elf_file *file, struct bytes relocations, struct bytes symbols,
                     uint32_t names_base, struct slots *slots)
{
    uint16_t machine = elf_file_machine(file);
    while (bytes_left(&relocations) >= RELOCATION_BYTES) {
        uint64_t image_addr = bytes_take_u64(&relocations);
        uint64_t info = bytes_take_u64(&relocations);
        bytes_skip(&relocations, sizeof(uint64_t)); /* the addend */
        uint64_t symbol = info >> 32;
        if (symbol == 0 || !fills_slot(machine, (uint32_t)info) ||
            symbol >= bytes_left(&symbols) / SYMBOL_BYTES) {
            continue;
        }
        struct bytes at = symbols;
        bytes_skip(&at, symbol * SYMBOL_BYTES);
        uint32_t name_offset = bytes_take_u32(&at);
        if (name_offset == 0 || name_offset > UINT32_MAX - names_base) {
            continue;
        }
        int r = add_slot(slots, image_addr, names_base + name_offset);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static size_t count_underscores(const struct chooser *chooser)
{
    size_t n = 0;
    while (n < chooser->max_bytes && chooser->text[n] == '_') {
        n++;
    }
    return n;
}

/* By address; of several names for one, that comes first which a reader would choose. */
static int compare_choosers(const void *left, const void *right)
{
    const struct chooser *one = left;
    const struct chooser *other = right;
    if (one->image_addr != other->image_addr) {
        return one->image_addr < other->image_addr ? -1 : 1;
    }
    size_t n_underscores = count_underscores(one);
    size_t n_other_underscores = count_underscores(other);
    if (n_underscores != n_other_underscores) {
        return n_underscores < n_other_underscores ? -1 : 1;
    }
    size_t n_bytes = one->max_bytes < other->max_bytes ? one->max_bytes : other->max_bytes;
    return strncmp(one->text, other->text, n_bytes);
}

static int collect_choosers(struct elf_file *file, const struct elf_section *symbols,
                            uint32_t names_base, struct choosers *choosers)
{
    struct elf_symbol_cursor cursor;
    struct bytes names;
    if (!elf_file_symbols(file, symbols->index, &cursor) ||
        !elf_file_section_bytes(file, symbols->link, &names)) {
        return 0;
    }
    size_t capacity = 0;
    struct elf_symbol symbol;
    while (elf_symbol_next(&cursor, &symbol)) {
        if (symbol.type != STT_GNU_IFUNC || symbol.section == 0 || symbol.name_offset == 0 ||
            symbol.name_offset >= bytes_left(&names) ||
            symbol.name_offset > UINT32_MAX - names_base) {
            continue;
        }
        if (choosers->n_choosers == capacity) {
            capacity = capacity ? capacity * 2 : 64;
            struct chooser *grown = reallocarray(choosers->choosers, capacity, sizeof(*grown));
            if (!grown) {
                return -ENOMEM;
            }
            choosers->choosers = grown;
        }
        size_t max_bytes = bytes_left(&names) - symbol.name_offset;
        choosers->choosers[choosers->n_choosers++] = (struct chooser){
            .image_addr = symbol.image_addr,
            .text = (const char *)names.at + symbol.name_offset,
            .max_bytes = max_bytes < MAX_COMPARED_BYTES ? max_bytes : MAX_COMPARED_BYTES,
            .name = names_base + symbol.name_offset,
        };
    }
    if (choosers->n_choosers > 0) {
        qsort(choosers->choosers, choosers->n_choosers, sizeof(struct chooser), compare_choosers);
    }
    return 0;
}

/* The first one of those that stand at the address. */
static const struct chooser *find_chooser(const struct choosers *choosers, uint64_t image_addr)
{
    size_t low = 0;
    size_t high = choosers->n_choosers;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (choosers->choosers[middle].image_addr < image_addr) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool is_found = low < choosers->n_choosers && choosers->choosers[low].image_addr == image_addr;
    return is_found ? &choosers->choosers[low] : NULL;
}

/* The words that the loader fills by asking a function of this file. */
static int add_chosen_slots(struct elf_file *file, struct bytes relocations,
                            const struct choosers *choosers, struct slots *slots)
{
    uint32_t type = elf_file_machine(file) == EM_X86_64 ? R_X86_64_IRELATIVE : R_AARCH64_IRELATIVE;
    while (bytes_left(&relocations) >= RELOCATION_BYTES) {
        uint64_t image_addr = bytes_take_u64(&relocations);
        uint64_t info = bytes_take_u64(&relocations);
        uint64_t addend = bytes_take_u64(&relocations);
        const struct chooser *chooser =
            (uint32_t)info == type ? find_chooser(choosers, addend) : NULL;
        int r = chooser ? add_slot(slots, image_addr, chooser->name) : 0;
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int compare_slots(const void *left, const void *right)
{
    const struct slot *one = left;
    const struct slot *other = right;
    if (one->image_addr != other->image_addr) {
        return one->image_addr < other->image_addr ? -1 : 1;
    }
    return 0;
}

static const struct slot *find_slot(const struct slots *slots, uint64_t image_addr)
{
    struct slot wanted = {.image_addr = image_addr};
    return slots->n_slots == 0
               ? NULL
               : bsearch(&wanted, slots->slots, slots->n_slots, sizeof(wanted), compare_slots);
}

static int add_stub(struct function_table *table, const struct slot *slot, uint64_t start_addr,
                    uint64_t end_addr)
{
    struct function_entry entry = {
        .start_address = start_addr,
        .n_bytes = end_addr - start_addr,
        .end_limit = end_addr,
        .name = slot->name,
        .rank = FUNCTION_RANK_PLT,
    };
    return function_table_add(table, &entry);
}

/* A jump and two bytes of nothing, and the next one: what GNU ld writes into static programs. */
static bool has_short_stubs(const struct elf_section *section, const struct bytes *code)
{
    return section->entry_bytes == 8 ||
           (bytes_left(code) >= 10 && memcmp(code->at, "\xff\x25", 2) == 0 &&
            memcmp(code->at + 6, "\x66\x90\xff\x25", 4) == 0);
}

/* "jmp *disp32(%rip)" (ff 25), with or without endbr64 and bnd before it, within one stub. */
static int add_x86_64_stubs(const struct elf_section *section, struct bytes code,
                            const struct slots *slots, struct function_table *table)
{
    uint64_t stub_bytes = has_short_stubs(section, &code) ? 8 : STUB_BYTES;
    uint64_t stub_addr = section->image_addr;
    for (; bytes_left(&code) >= stub_bytes; stub_addr += stub_bytes) {
        struct bytes stub = bytes_of(bytes_take(&code, stub_bytes), stub_bytes);
        while (bytes_left(&stub) >= 6) {
            if (stub.at[0] != 0xff || stub.at[1] != 0x25) {
                bytes_skip(&stub, 1);
                continue;
            }
            bytes_skip(&stub, 2);
            int32_t displacement = (int32_t)bytes_take_u32(&stub);
            uint64_t next_addr = stub_addr + stub_bytes - bytes_left(&stub);
            const struct slot *slot = find_slot(slots, next_addr + (uint64_t)(int64_t)displacement);
            int r = slot ? add_stub(table, slot, stub_addr, stub_addr + stub_bytes) : 0;
            if (r < 0) {
                return r;
            }
            break;
        }
    }
    return 0;
}

/* "adrp x16, page" followed by "ldr x17, [x16, #offset]"; the stub may begin with "bti c". */
static int add_aarch64_stubs(const struct elf_section *section, struct bytes code,
                             const struct slots *slots, struct function_table *table)
{
    const uint32_t bti_c = 0xd503245f;
    uint32_t before = 0;
    uint32_t adrp = 0;
    uint64_t addr = section->image_addr;
    for (; bytes_left(&code) >= INSTRUCTION_BYTES; addr += INSTRUCTION_BYTES) {
        uint32_t instruction = bytes_take_u32(&code);
        bool is_pair =
            (adrp & 0x9f00001f) == 0x90000010 && (instruction & 0xffc003ff) == 0xf9400211;
        if (is_pair) {
            uint64_t adrp_addr = addr - INSTRUCTION_BYTES;
            uint64_t pages = (uint64_t)(adrp >> 5 & 0x7ffff) << 2 | (adrp >> 29 & 3);
            uint64_t distance = (uint64_t)((int64_t)(pages << 43) >> 31);
            uint64_t slot_addr = (adrp_addr & ~UINT64_C(0xfff)) + distance +
                                 (uint64_t)(instruction >> 10 & 0xfff) * 8;
            const struct slot *slot = find_slot(slots, slot_addr);
            uint64_t start_addr = before == bti_c ? adrp_addr - INSTRUCTION_BYTES : adrp_addr;
            int r = slot ? add_stub(table, slot, start_addr, adrp_addr + STUB_BYTES) : 0;
            if (r < 0) {
                return r;
            }
        }
        before = adrp;
        adrp = instruction;
    }
    return 0;
}

static int collect_slots(struct elf_file *file, const struct elf_section *named,
                         uint32_t names_base, const struct choosers *choosers, struct slots *slots)
{
    struct bytes symbols;
    if (!elf_file_section_bytes(file, named->index, &symbols)) {
        return 0;
    }
    size_t n_left = MAX_SECTIONS_OF_A_KIND;
    for (size_t i = 1; i < elf_file_n_sections(file) && n_left > 0; i++) {
        struct elf_section section;
        struct bytes relocations;
        if (!elf_file_section(file, i, &section) || section.type != SHT_RELA ||
            !elf_file_section_bytes(file, i, &relocations)) {
            continue;
        }
        n_left--;
        int r = section.link == named->index
                    ? add_slots(file, relocations, symbols, names_base, slots)
                    : 0;
        if (r == 0 && choosers->n_choosers > 0) {
            r = add_chosen_slots(file, relocations, choosers, slots);
        }
        if (r < 0) {
            return r;
        }
    }
    if (slots->n_slots > 0) {
        qsort(slots->slots, slots->n_slots, sizeof(*slots->slots), compare_slots);
    }
    return 0;
}

static int add_stubs(struct elf_file *file, const struct slots *slots, struct function_table *table)
{
    size_t n_left = MAX_SECTIONS_OF_A_KIND;
    for (size_t i = 1; i < elf_file_n_sections(file) && n_left > 0; i++) {
        struct elf_section section;
        struct bytes code;
        if (!elf_file_section(file, i, &section) || !cfi_plt_is_section(&section) ||
            !elf_file_section_bytes(file, i, &code)) {
            continue;
        }
        n_left--;
        int r = elf_file_machine(file) == EM_X86_64
                    ? add_x86_64_stubs(&section, code, slots, table)
                    : add_aarch64_stubs(&section, code, slots, table);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int plt_symbols_load(struct elf_file *file, const struct elf_section *named, uint32_t names_base,
                     struct function_table *table)
{
    uint16_t machine = elf_file_machine(file);
    if (!elf_file_is_64_bit_little_endian(file) ||
        (machine != EM_X86_64 && machine != EM_AARCH64)) {
        return 0;
    }
    struct slots slots = {0};
    struct choosers choosers = {0};
    int r = collect_choosers(file, named, names_base, &choosers);
    if (r == 0) {
        r = collect_slots(file, named, names_base, &choosers, &slots);
    }
    if (r == 0 && slots.n_slots > 0) {
        r = add_stubs(file, &slots, table);
    }
    free(choosers.choosers);
    free(slots.slots);
    return r;
}
