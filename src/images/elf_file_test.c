/* SPDX-License-Identifier: MIT */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "images/elf_file.h"

static char *own_program;
static size_t own_program_bytes;

static int read_own_program(void **state)
{
    (void)state;
    return fd_read_file("/proc/self/exe", 64 << 20, &own_program, &own_program_bytes);
}

static int free_own_program(void **state)
{
    (void)state;
    free(own_program);
    return 0;
}

static struct elf_file *open_memory(const void *data, size_t n_bytes)
{
    struct elf_file *file = NULL;
    struct error error = {0};
    assert_int_equal(elf_file_open_memory(data, n_bytes, &file, &error), 0);
    return file;
}

static int take_bias(struct dl_phdr_info *info, size_t size, void *userdata)
{
    (void)size;
    *(uint64_t *)userdata = info->dlpi_addr;
    return 1; /* the program itself comes first */
}

static void test_own_program_through_a_descriptor(void **state)
{
    (void)state;
    _cleanup_(fd_closep) int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    _cleanup_(elf_file_freep) struct elf_file *file = NULL;
    struct error error = {0};
    assert_int_equal(elf_file_open_descriptor(fd, &file, &error), 0);
    assert_true(elf_file_n_sections(file) > 10);

    struct elf_section text;
    assert_true(elf_file_section_named(file, ".text", &text));
    assert_int_equal(text.type, SHT_PROGBITS);
    assert_true((text.flags & SHF_EXECINSTR) != 0);
    struct bytes code;
    assert_true(elf_file_section_bytes(file, text.index, &code));
    assert_int_equal(bytes_left(&code), text.n_bytes);
    assert_false(elf_file_section_named(file, ".no-such-section", &text));
    assert_false(elf_file_section(file, 0, &text));
    assert_false(elf_file_section(file, elf_file_n_sections(file), &text));

    struct elf_section bss;
    assert_true(elf_file_section_named(file, ".bss", &bss));
    assert_false(elf_file_section_bytes(file, bss.index, &code));
}

#define HOLE_BYTES (ELF_SECTION_MAX_BYTES + 1)

/* Tables of symbols and names, and a segment, that are holes; which of them are that large. */
static int make_hollow_file(bool has_names, bool has_symbols, bool has_section_names)
{
    static const char names[] = "\0.strtab\0.symtab\0.shstrtab";
    Elf64_Shdr headers[4] = {
        [1] = {.sh_name = 1, .sh_type = SHT_STRTAB, .sh_offset = 4096, .sh_size = 4096},
        [2] = {.sh_name = 9,
               .sh_type = SHT_SYMTAB,
               .sh_offset = 4096,
               .sh_size = 4800,
               .sh_link = 1,
               .sh_entsize = sizeof(Elf64_Sym)},
        [3] = {.sh_name = 17, .sh_type = SHT_STRTAB, .sh_offset = 512, .sh_size = sizeof(names)},
    };
    headers[1].sh_size = has_names ? HOLE_BYTES : headers[1].sh_size;
    headers[2].sh_size = has_symbols ? HOLE_BYTES / 24 * 24 + 24 : headers[2].sh_size;
    headers[3].sh_size = has_section_names ? HOLE_BYTES : headers[3].sh_size;
    Elf64_Phdr segment = {.p_type = PT_LOAD,
                          .p_offset = 4096,
                          .p_filesz = UINT64_C(3) << 30,
                          .p_vaddr = 0x400000,
                          .p_flags = PF_R};
    Elf64_Ehdr header = {.e_ident = ELFMAG, .e_type = ET_EXEC, .e_machine = EM_X86_64};
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_version = EV_CURRENT;
    header.e_ehsize = sizeof(header);
    header.e_phoff = 2048;
    header.e_phentsize = sizeof(segment);
    header.e_phnum = 1;
    header.e_shoff = 1024;
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_shnum = 4;
    header.e_shstrndx = 3;
    int fd = memfd_create("hollow", MFD_CLOEXEC);
    assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
    assert_int_equal(pwrite(fd, names, sizeof(names), 512), sizeof(names));
    assert_int_equal(pwrite(fd, headers, sizeof(headers), 1024), sizeof(headers));
    assert_int_equal(pwrite(fd, &segment, sizeof(segment), 2048), sizeof(segment));
    assert_int_equal(ftruncate(fd, (off_t)4 << 30), 0);
    return fd;
}

/* What such a file claims must not become memory: nothing of it is touched. */
static void test_holes_that_are_too_large(void **state)
{
    (void)state;
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    for (unsigned i = 0; i < 8; i++) {
        bool has_names = (i & 1) != 0, has_symbols = (i & 2) != 0, has_section_names = (i & 4) != 0;
        _cleanup_(fd_closep) int fd = make_hollow_file(has_names, has_symbols, has_section_names);
        _cleanup_(elf_file_freep) struct elf_file *file = NULL;
        assert_int_equal(elf_file_open_descriptor(fd, &file, NULL), 0);
        struct elf_section section;
        assert_true(elf_file_section(file, 1, &section));
        assert_string_equal(section.name, has_section_names ? "" : ".strtab");
        struct bytes bytes;
        assert_int_equal(elf_file_section_bytes(file, 1, &bytes), !has_names);
        assert_int_equal(elf_file_section_inflated(file, 1, SIZE_MAX, &bytes), !has_names);
        struct elf_symbol_cursor cursor;
        assert_int_equal(elf_file_symbols(file, 2, &cursor), !has_symbols);
        assert_int_equal(elf_file_is_too_large(file), i != 0);
    }
    getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_maxrss - before.ru_maxrss < 256 * 1024);
}

/* Where this function is in the file, and where the linker put it, must agree. */
static void test_layout_translates_offsets(void **state)
{
    (void)state;
    uint64_t bias = 0;
    dl_iterate_phdr(take_bias, &bias);
    uint64_t wanted_addr = (uintptr_t)&test_layout_translates_offsets - bias;
    _cleanup_(elf_file_freep) struct elf_file *file = open_memory(own_program, own_program_bytes);
    struct elf_section text;
    assert_true(elf_file_section_named(file, ".text", &text));
    const Elf64_Ehdr *header = (const void *)own_program;
    const Elf64_Shdr *sections = (const void *)(own_program + header->e_shoff);
    uint64_t offset = sections[text.index].sh_offset + (wanted_addr - text.image_addr);
    uint64_t image_addr = 0;
    assert_true(elf_layout_find(elf_file_layout(file), offset, &image_addr));
    assert_int_equal(image_addr, wanted_addr);
    assert_memory_equal(own_program + offset, (const void *)&test_layout_translates_offsets, 16);
    assert_false(elf_layout_find(elf_file_layout(file), UINT64_MAX, &image_addr));
    assert_false(elf_layout_find(elf_file_layout(file), own_program_bytes + 8192, &image_addr));
}

static void test_layout_of_shared_pages(void **state)
{
    (void)state;
    struct elf_layout layout = {
        .n_segments = 2,
        .segments = {{.file_offset = 0x1234, .n_bytes = 0x100, .image_addr = 0x401234},
                     {.file_offset = 0, .n_bytes = 0x1234, .image_addr = 0x400000}},
    };
    uint64_t image_addr = 0;
    assert_true(elf_layout_find(&layout, 0x1233, &image_addr));
    assert_int_equal(image_addr, 0x401233);
    assert_true(elf_layout_find(&layout, 0x1234, &image_addr));
    assert_int_equal(image_addr, 0x401234);
    /* Behind the segment's last byte, but on its last page. */
    assert_true(elf_layout_find(&layout, 0x1fff, &image_addr));
    assert_int_equal(image_addr, 0x401fff);
    assert_false(elf_layout_find(&layout, 0x2000, &image_addr));
    layout.segments[0].n_bytes = UINT64_MAX;
    assert_true(elf_layout_find(&layout, UINT64_MAX - 1, &image_addr));
    layout.n_segments = 0;
    assert_false(elf_layout_find(&layout, 0, &image_addr));
}

/* As lld lays files out: code is mapped with the page on which what is before it ends. */
static void test_layout_of_code_behind_a_seam(void **state)
{
    (void)state;
    const struct elf_layout layout = {
        .n_segments = 2,
        .n_executable = 1,
        .segments = {{.file_offset = 0x1360, .n_bytes = 0x2250, .image_addr = 0x2360},
                     {.file_offset = 0, .n_bytes = 0x135c, .image_addr = 0}},
    };
    uint64_t image_addr = 0;
    assert_true(elf_layout_find(&layout, 0x1000, &image_addr));
    assert_int_equal(image_addr, 0x2000);
    assert_true(elf_layout_find(&layout, 0x1360, &image_addr));
    assert_int_equal(image_addr, 0x2360);
    assert_true(elf_layout_find(&layout, 0xfff, &image_addr));
    assert_int_equal(image_addr, 0xfff);
}

static void test_symbols_can_be_walked(void **state)
{
    (void)state;
    _cleanup_(elf_file_freep) struct elf_file *file = open_memory(own_program, own_program_bytes);
    struct elf_section symbols;
    struct elf_section text;
    assert_true(elf_file_section_named(file, ".symtab", &symbols));
    assert_true(elf_file_section_named(file, ".text", &text));
    struct bytes names;
    assert_true(elf_file_section_bytes(file, symbols.link, &names));
    struct elf_symbol_cursor cursor;
    assert_true(elf_file_symbols(file, symbols.index, &cursor));
    size_t n_found = 0;
    struct elf_symbol symbol;
    while (elf_symbol_next(&cursor, &symbol)) {
        assert_true(symbol.name_offset < bytes_left(&names));
        if (strcmp((const char *)names.at + symbol.name_offset, "test_symbols_can_be_walked") ==
            0) {
            n_found++;
            assert_int_equal(symbol.type, STT_FUNC);
            assert_int_equal(symbol.binding, STB_LOCAL);
            assert_int_equal(symbol.section, text.index);
            assert_true(symbol.n_bytes > 0);
        }
    }
    assert_int_equal(n_found, 1);
    assert_false(elf_file_symbols(file, text.index, &cursor));
}

static void test_vdso_from_memory_has_a_build_id(void **state)
{
    (void)state;
    const char *vdso = (const char *)getauxval(AT_SYSINFO_EHDR);
    if (!vdso) {
        skip();
    }
    _cleanup_(elf_file_freep) struct elf_file *file = open_memory(vdso, 4096);
    uint8_t build_id[LIMIT_BUILD_ID_BYTES];
    assert_true(elf_file_build_id(file, build_id) > 0);
    uint64_t image_addr = 1;
    assert_true(elf_layout_find(elf_file_layout(file), 0x40, &image_addr));
}

static void test_loaded_bytes_and_segments(void **state)
{
    (void)state;
    _cleanup_(elf_file_freep) struct elf_file *file = open_memory(own_program, own_program_bytes);
    assert_int_equal(elf_file_n_bytes(file), own_program_bytes);
    const struct elf_layout *layout = elf_file_layout(file);
    assert_true(layout->n_executable >= 1 && layout->n_executable < layout->n_segments);

    struct elf_section text;
    struct bytes code;
    struct bytes loaded;
    assert_true(elf_file_section_named(file, ".text", &text));
    assert_true(elf_file_section_bytes(file, text.index, &code));
    assert_true(elf_file_loaded_bytes(file, text.image_addr + 16, ELF_SECTION_MAX_BYTES, &loaded));
    assert_true(bytes_left(&loaded) >= bytes_left(&code) - 16);
    assert_memory_equal(loaded.at, code.at + 16, bytes_left(&code) - 16);
    assert_true(elf_file_loaded_bytes(file, text.image_addr + 16, 8, &loaded));
    assert_int_equal(bytes_left(&loaded), 8);
    assert_false(elf_file_loaded_bytes(file, UINT64_MAX, ELF_SECTION_MAX_BYTES, &loaded));

    struct elf_segment segment;
    assert_true(elf_file_segment_of_type(file, PT_GNU_EH_FRAME, &segment));
    struct elf_section header;
    assert_true(elf_file_section_named(file, ".eh_frame_hdr", &header));
    assert_int_equal(segment.image_addr, header.image_addr);
    assert_int_equal(segment.n_bytes, header.n_bytes);
    assert_false(elf_file_segment_of_type(file, 0x12345678, &segment));

    /* What is not compressed is as it is, up to the bound. Compressed: unwind/cfi_elf_test.c. */
    assert_true(elf_file_section_inflated(file, text.index, own_program_bytes, &loaded));
    assert_int_equal(bytes_left(&loaded), text.n_bytes);
    assert_false(elf_file_section_inflated(file, text.index, text.n_bytes - 1, &loaded));
}

static void test_what_is_no_elf_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "#!/bin/sh\n", "\177ELF", "\177ELF\2\1\1",
                                        "!<arch>\nlibelf reads archives too"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct elf_file *file = NULL;
        struct error error = {0};
        int r = elf_file_open_memory(texts[i], strlen(texts[i]), &file, &error);
        assert_int_equal(r, -ENOEXEC);
        assert_null(file);
        assert_true(error_is_set(&error));
    }
    struct elf_file *file = NULL;
    _cleanup_(fd_closep) int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(elf_file_open_descriptor(fd, &file, NULL), -ENOEXEC);
    assert_null(elf_file_free(NULL));
}

/* Walks everything; the sanitizers say whether it stayed inside. */
static void walk(const char *data, size_t n_bytes)
{
    _cleanup_(elf_file_freep) struct elf_file *file = NULL;
    if (elf_file_open_memory(data, n_bytes, &file, NULL) < 0) {
        return;
    }
    uint8_t build_id[LIMIT_BUILD_ID_BYTES];
    (void)elf_file_build_id(file, build_id);
    for (size_t i = 0; i < elf_file_n_sections(file); i++) {
        struct elf_section section;
        struct bytes bytes;
        struct elf_symbol_cursor cursor;
        if (!elf_file_section(file, i, &section)) {
            continue;
        }
        if (elf_file_section_bytes(file, i, &bytes)) {
            assert_true(bytes_left(&bytes) <= n_bytes);
        }
        if (elf_file_loaded_bytes(file, section.image_addr, ELF_SECTION_MAX_BYTES, &bytes)) {
            assert_true(bytes_left(&bytes) <= n_bytes);
        }
        (void)elf_file_section_inflated(file, i, 1 << 20, &bytes);
        if (elf_file_symbols(file, i, &cursor)) {
            struct elf_symbol symbol;
            while (elf_symbol_next(&cursor, &symbol)) {
            }
        }
    }
}

static void test_damaged_headers(void **state)
{
    (void)state;
    char *copy = malloc(own_program_bytes);
    assert_non_null(copy);
    const Elf64_Ehdr *header = (const void *)own_program;
    srand(3);
    for (int round = 0; round < 300; round++) {
        memcpy(copy, own_program, own_program_bytes);
        /* The ELF header, the program headers or the section headers. */
        size_t sections_bytes = (size_t)header->e_shnum * header->e_shentsize;
        for (int i = 0; i < 4; i++) {
            bool is_in_sections = rand() % 2 == 0;
            size_t at = is_in_sections ? header->e_shoff + (size_t)rand() % sections_bytes
                                       : 4 + (size_t)rand() % 600;
            copy[at] = (char)(rand() % 3 == 0 ? 0xff : rand());
        }
        walk(copy, own_program_bytes);
        walk(copy, (size_t)rand() % own_program_bytes);
    }
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_program_through_a_descriptor),
        cmocka_unit_test(test_holes_that_are_too_large),
        cmocka_unit_test(test_layout_translates_offsets),
        cmocka_unit_test(test_layout_of_shared_pages),
        cmocka_unit_test(test_layout_of_code_behind_a_seam),
        cmocka_unit_test(test_symbols_can_be_walked),
        cmocka_unit_test(test_vdso_from_memory_has_a_build_id),
        cmocka_unit_test(test_loaded_bytes_and_segments),
        cmocka_unit_test(test_what_is_no_elf_is_refused),
        cmocka_unit_test(test_damaged_headers),
    };
    return cmocka_run_group_tests(tests, read_own_program, free_own_program);
}
