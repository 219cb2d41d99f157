/* SPDX-License-Identifier: MIT */
#include "unwind/cfi_extents.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/fd.h"
#include "unwind/elf_test.h"

static struct elf_file *begin_and_end(struct program *program, const struct section *frames,
                                      uint16_t machine)
{
    begin_program(program);
    if (frames) {
        add_section(program, ".eh_frame", SHF_ALLOC, SECTION_ADDR, frames->data, frames->n_bytes);
    }
    return end_program(program, machine);
}

static void test_order_and_doubles(void **state)
{
    (void)state;
    struct program program;
    struct section frames = {0};
    put_usual_cie(&frames);
    put_fde(&frames, CODE_ADDR + 0x80, 0x10, "", 0);
    put_fde(&frames, CODE_ADDR + 0x20, 0x30, "", 0);
    put_usual_cie(&frames);
    put_fde(&frames, CODE_ADDR, 0x18, "", 0);
    put_fde(&frames, CODE_ADDR + 0x20, 0x8, "", 0);
    put_fde(&frames, CODE_ADDR + 0x40, 0, "", 0);      /* empty */
    put_fde(&frames, CODE_ADDR - 0x1000, 0x10, "", 0); /* dropped by a linker */
    put_fde(&frames, CODE_ADDR, 0x10000000, "", 0);    /* past the end of the code */
    _cleanup_(elf_file_freep) struct elf_file *file = begin_and_end(&program, &frames, EM_X86_64);
    _cleanup_(freep) struct cfi_extent *extents = NULL;
    size_t n_extents;
    assert_int_equal(cfi_extents_read(file, &extents, &n_extents), 0);
    static const struct cfi_extent expected[] = {
        {CODE_ADDR, 0x18}, {CODE_ADDR + 0x20, 0x30}, {CODE_ADDR + 0x80, 0x10}};
    assert_int_equal(n_extents, 3);
    assert_memory_equal(extents, expected, sizeof(expected));
}

/* With and without a description of its own, a section of stubs is one. */
static void test_stubs(void **state)
{
    (void)state;
    struct program program;
    struct section frames = {0};
    put_usual_cie(&frames);
    put_fde(&frames, CODE_ADDR, 0x10, "", 0);
    put_fde(&frames, CODE_ADDR + 0x100, 0x20, "", 0);
    begin_program(&program);
    add_section(&program, ".eh_frame", SHF_ALLOC, SECTION_ADDR, frames.data, frames.n_bytes);
    static const uint8_t code[0x20];
    uint64_t flags = SHF_ALLOC | SHF_EXECINSTR;
    add_section(&program, ".plt", flags, CODE_ADDR + 0x100, code, sizeof(code));
    add_section(&program, ".plt.got", flags, CODE_ADDR + 0x120, code, 0x10);
    add_section(&program, ".iplt", flags, CODE_ADDR + 0x130, code, 0);
    _cleanup_(elf_file_freep) struct elf_file *file = end_program(&program, EM_X86_64);
    _cleanup_(freep) struct cfi_extent *extents = NULL;
    size_t n_extents;
    assert_int_equal(cfi_extents_read(file, &extents, &n_extents), 0);
    static const struct cfi_extent expected[] = {
        {CODE_ADDR, 0x10}, {CODE_ADDR + 0x100, 0x20}, {CODE_ADDR + 0x120, 0x10}};
    assert_int_equal(n_extents, 3);
    assert_memory_equal(extents, expected, sizeof(expected));
}

static void test_nothing_to_tell(void **state)
{
    (void)state;
    struct program program;
    struct section frames = {0};
    put_fde(&frames, CODE_ADDR, 0x10, "", 0); /* its CIE is itself */
    for (int i = 0; i < 2; i++) {
        _cleanup_(elf_file_freep) struct elf_file *file =
            begin_and_end(&program, i == 0 ? NULL : &frames, EM_AARCH64);
        struct cfi_extent *extents;
        size_t n_extents;
        assert_int_equal(cfi_extents_read(file, &extents, &n_extents), 0);
        assert_int_equal(n_extents, 0);
        assert_null(extents);
    }
}

__attribute__((noinline)) static int some_function(int value)
{
    __asm__ volatile("" : "+r"(value));
    return value + 1;
}

/* This program itself, with and without section headers. */
static void test_a_real_file(void **state)
{
    (void)state;
    _cleanup_(freep) char *program = NULL;
    size_t n_bytes;
    assert_int_equal(some_function(1), 2);
    assert_int_equal(fd_read_file("/proc/self/exe", 64 << 20, &program, &n_bytes), 0);
    size_t n_with = 0;
    for (int i = 0; i < 2; i++) {
        _cleanup_(elf_file_freep) struct elf_file *file = NULL;
        _cleanup_(freep) struct cfi_extent *extents = NULL;
        size_t n_extents;
        assert_int_equal(elf_file_open_memory(program, n_bytes, &file, NULL), 0);
        assert_int_equal(cfi_extents_read(file, &extents, &n_extents), 0);
        assert_true(n_extents > 20);
        /* Only its stubs, where nobody describes them, are not found without sections. */
        assert_true(i == 0 || (n_extents <= n_with && n_extents + 3 >= n_with));
        n_with = n_extents;
        Elf64_Ehdr *header = (void *)program;
        header->e_shoff = 0;
        header->e_shnum = 0;
        header->e_shstrndx = 0;
    }
}

/* Descriptions that refer to two long ones in turn are not read again and again. */
static void test_hostile_commons(void **state)
{
    (void)state;
    enum { N_FDES = 20000, COMMON_BYTES = 1 << 20 };
    size_t n_bytes = 2 * (COMMON_BYTES + 4) + N_FDES * 24 + 4096;
    _cleanup_(freep) uint8_t *data = calloc(1, n_bytes);
    assert_non_null(data);
    size_t at = 0;
    for (int i = 0; i < 2; i++) {
        uint32_t length = COMMON_BYTES;
        memcpy(data + at, &length, 4);
        memset(data + at + 8, 'z', COMMON_BYTES - 4);
        at += 4 + COMMON_BYTES;
    }
    for (uint32_t i = 0; i < N_FDES; i++) {
        uint32_t words[2] = {20, (uint32_t)at + 4 - (i % 2) * (COMMON_BYTES + 4)};
        memcpy(data + at, words, sizeof(words));
        at += 24;
    }
    Elf64_Ehdr header = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_DYN,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_shoff = sizeof(Elf64_Ehdr),
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = 3,
        .e_shstrndx = 2,
    };
    static const char names[] = "\0.eh_frame";
    Elf64_Shdr sections[3] = {
        [1] = {.sh_name = 1, .sh_type = SHT_PROGBITS, .sh_offset = 4096, .sh_size = at},
        [2] = {.sh_type = SHT_STRTAB,
               .sh_offset = sizeof(header) + sizeof(sections),
               .sh_size = sizeof(names)},
    };
    _cleanup_(freep) uint8_t *whole = calloc(1, 4096 + at);
    assert_non_null(whole);
    memcpy(whole, &header, sizeof(header));
    memcpy(whole + sizeof(header), sections, sizeof(sections));
    memcpy(whole + sizeof(header) + sizeof(sections), names, sizeof(names));
    memcpy(whole + 4096, data, at);
    _cleanup_(elf_file_freep) struct elf_file *file = NULL;
    assert_int_equal(elf_file_open_memory(whole, 4096 + at, &file, NULL), 0);
    struct cfi_extent *extents;
    size_t n_extents;
    uint64_t started_ns = clock_now_ns();
    assert_int_equal(cfi_extents_read(file, &extents, &n_extents), 0);
    assert_int_equal(n_extents, 0);
    assert_true(clock_now_ns() - started_ns < UINT64_C(60000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_doubles), cmocka_unit_test(test_stubs),
        cmocka_unit_test(test_nothing_to_tell),   cmocka_unit_test(test_a_real_file),
        cmocka_unit_test(test_hostile_commons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
