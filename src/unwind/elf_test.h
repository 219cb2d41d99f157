/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * elf_test - files with sections of unwind information and code, made by hand
 *
 * Owner:   the test's frame holds the program. Threads: one.
 */

#include <elf.h>

#include "images/elf_file.h"
#include "unwind/cfi_test.h"

/* A file with one segment of code, and sections by name. */
struct program {
    uint8_t data[4096];
    size_t n_bytes;
    Elf64_Shdr sections[8];
    char names[128];
    size_t n_sections, names_bytes;
};

static inline void begin_program(struct program *program)
{
    memset(program, 0, sizeof(*program));
    program->n_bytes = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);
    program->n_sections = 1;
    program->names_bytes = 1;
}

static inline void add_section(struct program *program, const char *name, uint64_t flags,
                               uint64_t image_addr, const void *data, size_t n_bytes)
{
    Elf64_Shdr *section = &program->sections[program->n_sections++];
    *section = (Elf64_Shdr){
        .sh_name = (uint32_t)program->names_bytes,
        .sh_type = SHT_PROGBITS,
        .sh_flags = flags,
        .sh_addr = image_addr,
        .sh_offset = program->n_bytes,
        .sh_size = n_bytes,
        .sh_addralign = 1,
    };
    memcpy(program->names + program->names_bytes, name, strlen(name) + 1);
    program->names_bytes += strlen(name) + 1;
    assert_true(program->n_bytes + n_bytes < sizeof(program->data));
    memcpy(program->data + program->n_bytes, data, n_bytes);
    program->n_bytes += n_bytes;
}

static inline struct elf_file *end_program(struct program *program, uint16_t machine)
{
    char names[128];
    memcpy(names, program->names, sizeof(names));
    add_section(program, ".shstrtab", 0, 0, names, sizeof(names));
    memcpy(program->data + program->n_bytes - sizeof(names), program->names, sizeof(names));
    program->sections[program->n_sections - 1].sh_type = SHT_STRTAB;
    program->n_bytes = (program->n_bytes + 7) / 8 * 8;
    Elf64_Ehdr header = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_DYN,
        .e_machine = machine,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof(Elf64_Ehdr),
        .e_shoff = program->n_bytes,
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 1,
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = (uint16_t)program->n_sections,
        .e_shstrndx = (uint16_t)(program->n_sections - 1),
    };
    size_t sections_bytes = program->n_sections * sizeof(Elf64_Shdr);
    assert_true(program->n_bytes + sections_bytes < sizeof(program->data));
    memcpy(program->data + program->n_bytes, program->sections, sections_bytes);
    program->n_bytes += sections_bytes;
    Elf64_Phdr code = {
        .p_type = PT_LOAD,
        .p_flags = PF_R | PF_X,
        .p_vaddr = CODE_ADDR,
        .p_filesz = program->n_bytes,
        .p_memsz = program->n_bytes,
    };
    memcpy(program->data, &header, sizeof(header));
    memcpy(program->data + sizeof(header), &code, sizeof(code));
    struct elf_file *file = NULL;
    struct error error = {0};
    assert_int_equal(elf_file_open_memory(program->data, program->n_bytes, &file, &error), 0);
    return file;
}
