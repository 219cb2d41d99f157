/* SPDX-License-Identifier: MIT */
/*
 * Small files made by hand: three sections with contents and nothing else, so
 * that both architectures are tested everywhere.
 */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "symbols/elf_symbols.h"

#define PLT_ADDR UINT64_C(0x10000)
#define GOT_ADDR UINT64_C(0x20000)

enum { SECTION_PLT = 1, SECTION_RELOCATIONS, SECTION_SYMBOLS, SECTION_NAMES, N_SECTIONS };

static const char names[] = "\0puts\0_ZN1a1bEv\0.plt";

struct tiny_file {
    Elf64_Ehdr header;
    Elf64_Shdr sections[N_SECTIONS];
    uint32_t plt[12];
    Elf64_Rela relocations[2];
    Elf64_Sym symbols[3];
    char names[sizeof(names)];
};

static struct tiny_file make_file(uint16_t machine, uint32_t relocation_type)
{
    struct tiny_file file = {
        .header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
                               EV_CURRENT},
                   .e_type = ET_DYN,
                   .e_machine = machine,
                   .e_version = EV_CURRENT,
                   .e_shoff = offsetof(struct tiny_file, sections),
                   .e_ehsize = sizeof(Elf64_Ehdr),
                   .e_shentsize = sizeof(Elf64_Shdr),
                   .e_shnum = N_SECTIONS,
                   .e_shstrndx = SECTION_NAMES},
        .relocations = {{.r_offset = GOT_ADDR + 0x18, .r_info = ELF64_R_INFO(1, relocation_type)},
                        {.r_offset = GOT_ADDR + 0x20, .r_info = ELF64_R_INFO(2, relocation_type)}},
        .symbols = {{0}, {.st_name = 1}, {.st_name = 6}},
    };
    file.sections[SECTION_PLT] = (Elf64_Shdr){
        .sh_name = 16,
        .sh_type = SHT_PROGBITS,
        .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
        .sh_addr = PLT_ADDR,
        .sh_offset = offsetof(struct tiny_file, plt),
        .sh_size = sizeof(file.plt),
        .sh_entsize = 16,
    };
    file.sections[SECTION_RELOCATIONS] = (Elf64_Shdr){
        .sh_type = SHT_RELA,
        .sh_offset = offsetof(struct tiny_file, relocations),
        .sh_size = sizeof(file.relocations),
        .sh_link = SECTION_SYMBOLS,
        .sh_entsize = sizeof(Elf64_Rela),
    };
    file.sections[SECTION_SYMBOLS] = (Elf64_Shdr){
        .sh_type = SHT_DYNSYM,
        .sh_offset = offsetof(struct tiny_file, symbols),
        .sh_size = sizeof(file.symbols),
        .sh_link = SECTION_NAMES,
        .sh_entsize = sizeof(Elf64_Sym),
    };
    file.sections[SECTION_NAMES] = (Elf64_Shdr){
        .sh_type = SHT_STRTAB,
        .sh_offset = offsetof(struct tiny_file, names),
        .sh_size = sizeof(names),
    };
    memcpy(file.names, names, sizeof(names));
    return file;
}

static struct function_table *load(const struct tiny_file *tiny)
{
    _cleanup_(elf_file_freep) struct elf_file *file = NULL;
    assert_int_equal(elf_file_open_memory(tiny, sizeof(*tiny), &file, NULL), 0);
    struct function_table *table = NULL;
    assert_int_equal(function_table_new("x", FRAME_KIND_USER, &table), 0);
    const char *origin;
    assert_int_equal(elf_symbols_load(file, table, &origin), 0);
    return table;
}

static void assert_name(struct function_table *table, uint64_t image_addr, const char *name)
{
    const struct symbol *symbol = function_table_find(table, image_addr);
    assert_non_null(symbol);
    assert_string_equal(symbol->name, name);
}

/* Bytes of one 16-byte stub whose jump, `at` bytes into it, goes through the word at slot_addr. */
static void write_x86_64_stub(struct tiny_file *file, size_t stub, size_t at, uint64_t slot_addr)
{
    uint8_t *bytes = (uint8_t *)file->plt + stub * 16;
    memset(bytes, 0x90, 16);
    bytes[at] = 0xff;
    bytes[at + 1] = 0x25;
    uint32_t displacement = (uint32_t)(slot_addr - (PLT_ADDR + stub * 16 + at + 6));
    memcpy(bytes + at + 2, &displacement, sizeof(displacement));
}

static void test_x86_64(void **state)
{
    (void)state;
    struct tiny_file file = make_file(EM_X86_64, R_X86_64_JUMP_SLOT);
    write_x86_64_stub(&file, 0, 6, GOT_ADDR + 0x10); /* the common one: its slot has no name */
    write_x86_64_stub(&file, 1, 0, GOT_ADDR + 0x20);
    write_x86_64_stub(&file, 2, 5, GOT_ADDR + 0x18); /* behind "endbr64; bnd" */
    _cleanup_(function_table_freep) struct function_table *table = load(&file);
    assert_int_equal(function_table_count(table), 2);
    assert_null(function_table_find(table, PLT_ADDR));
    assert_name(table, PLT_ADDR + 0x10, "a::b()@plt");
    assert_name(table, PLT_ADDR + 0x2f, "puts@plt");
    assert_null(function_table_find(table, PLT_ADDR + 0x30));
}

static void test_x86_64_stubs_of_8_bytes(void **state)
{
    (void)state;
    struct tiny_file file = make_file(EM_X86_64, R_X86_64_GLOB_DAT);
    write_x86_64_stub(&file, 1, 8, GOT_ADDR + 0x18);
    file.sections[SECTION_PLT].sh_entsize = 8;
    _cleanup_(function_table_freep) struct function_table *table = load(&file);
    assert_name(table, PLT_ADDR + 0x18, "puts@plt");
    assert_null(function_table_find(table, PLT_ADDR + 0x17));
}

static void test_aarch64(void **state)
{
    (void)state;
    struct tiny_file file = make_file(EM_AARCH64, R_AARCH64_JUMP_SLOT);
    const uint32_t adrp_got_page = 0x90000090; /* adrp x16, 0x20000 from page 0x10000 */
    const uint32_t stub[] = {adrp_got_page, 0xf9400e11 /* ldr x17, [x16, #0x18] */,
                             0x91006210 /* add x16, x16, #0x18 */, 0xd61f0220 /* br x17 */};
    const uint32_t guarded[] = {0xd503245f /* bti c */, adrp_got_page,
                                0xf9401211 /* ldr x17, [x16, #0x20] */, 0x91008210, 0xd61f0220};
    memcpy(file.plt, stub, sizeof(stub));
    memcpy(file.plt + 4, guarded, sizeof(guarded));
    _cleanup_(function_table_freep) struct function_table *table = load(&file);
    assert_int_equal(function_table_count(table), 2);
    assert_name(table, PLT_ADDR, "puts@plt");
    assert_name(table, PLT_ADDR + 0x10, "a::b()@plt");
    assert_name(table, PLT_ADDR + 0x23, "a::b()@plt");
    assert_null(function_table_find(table, PLT_ADDR + 0x24));
}

/* Static programs: the loader asks a function of the file, which .symtab names, and others too. */
static void test_chosen_functions(void **state)
{
    (void)state;
    enum { CHOOSER_ADDR = 0x14000 };
    struct tiny_file file = make_file(EM_X86_64, R_X86_64_IRELATIVE);
    file.relocations[0].r_info = ELF64_R_INFO(0, R_X86_64_IRELATIVE);
    file.relocations[0].r_addend = CHOOSER_ADDR;
    file.relocations[1] = file.relocations[0];
    file.relocations[1].r_offset = GOT_ADDR + 0x20;
    file.relocations[1].r_addend = CHOOSER_ADDR + 1; /* nobody's */
    file.sections[SECTION_RELOCATIONS].sh_link = 0;
    file.sections[SECTION_SYMBOLS].sh_type = SHT_SYMTAB;
    file.symbols[1] = (Elf64_Sym){
        .st_name = 6,
        .st_info = ELF64_ST_INFO(STB_LOCAL, STT_GNU_IFUNC),
        .st_shndx = SECTION_PLT,
        .st_value = CHOOSER_ADDR,
    };
    file.symbols[2] = file.symbols[1];
    file.symbols[2].st_name = 1; /* the better one of the two: no underscore */
    /* GNU ld writes 8 bytes a stub there, and no size of them. */
    file.sections[SECTION_PLT].sh_entsize = 0;
    for (size_t i = 0; i < 6; i++) {
        uint8_t *bytes = (uint8_t *)file.plt + i * 8;
        uint64_t slot_addr = GOT_ADDR + (i == 1 ? 0x18 : 0x20);
        uint32_t displacement = (uint32_t)(slot_addr - (PLT_ADDR + i * 8 + 6));
        memcpy(bytes, "\xff\x25", 2);
        memcpy(bytes + 2, &displacement, sizeof(displacement));
        memcpy(bytes + 6, "\x66\x90", 2);
    }
    _cleanup_(function_table_freep) struct function_table *table = load(&file);
    assert_int_equal(function_table_count(table), 1);
    assert_name(table, PLT_ADDR + 8, "puts@plt");
    assert_name(table, PLT_ADDR + 15, "puts@plt");
    assert_null(function_table_find(table, PLT_ADDR + 7));
    assert_null(function_table_find(table, PLT_ADDR + 16));
}

static void test_damaged_relocations(void **state)
{
    (void)state;
    struct tiny_file file = make_file(EM_X86_64, R_X86_64_JUMP_SLOT);
    write_x86_64_stub(&file, 1, 0, GOT_ADDR + 0x18);
    write_x86_64_stub(&file, 2, 0, GOT_ADDR + 0x20);
    file.relocations[0].r_info = ELF64_R_INFO(3, R_X86_64_JUMP_SLOT); /* one past the last */
    file.symbols[2].st_name = UINT32_MAX;
    _cleanup_(function_table_freep) struct function_table *table = load(&file);
    assert_int_equal(function_table_count(table), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_x86_64),
        cmocka_unit_test(test_x86_64_stubs_of_8_bytes),
        cmocka_unit_test(test_aarch64),
        cmocka_unit_test(test_chosen_functions),
        cmocka_unit_test(test_damaged_relocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
