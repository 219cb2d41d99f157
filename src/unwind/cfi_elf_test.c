/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <sys/auxv.h>

#include "base/fd.h"
#include "unwind/elf_test.h"

/* A .debug_frame of version 4, with one function of 0x40 bytes. */
static void make_debug_frame(struct section *section, uint64_t start_addr)
{
    begin_entry(section);
    put_u32(section, UINT32_MAX);
    put_bytes(section, "\4\0\x8\0\1\x78\x10\x0c\7\x8\x90\1", 12);
    end_entry(section);
    begin_entry(section);
    put_u32(section, 0);
    put_u64(section, start_addr);
    put_u64(section, 0x40);
    put_bytes(section, "\x41\x0e\x10", 3);
    end_entry(section);
}

/* As SHF_COMPRESSED wants it: a header, then zlib's form with one stored block. */
static void deflate(const struct section *section, uint64_t claimed_bytes, struct section *ret_zlib)
{
    Elf64_Chdr header = {.ch_type = ELFCOMPRESS_ZLIB, .ch_size = claimed_bytes, .ch_addralign = 1};
    put_bytes(ret_zlib, &header, sizeof(header));
    put_bytes(ret_zlib, "\x78\x01\x01", 3);
    put_u32(ret_zlib, (uint32_t)section->n_bytes | ~(uint32_t)section->n_bytes << 16);
    put_bytes(ret_zlib, section->data, section->n_bytes);
    uint32_t sums[2] = {1, 0};
    for (size_t i = 0; i < section->n_bytes; i++) {
        sums[0] = (sums[0] + section->data[i]) % 65521;
        sums[1] = (sums[1] + sums[0]) % 65521;
    }
    uint32_t sum = sums[1] << 16 | sums[0];
    put_u32(ret_zlib, __builtin_bswap32(sum));
}

#define DEBUG_FRAME_ROWS                                                                           \
    "0x10000 CFA=sp+8\n"                                                                           \
    "0x10001 CFA=sp+16\n"                                                                          \
    "0x10040 none\n"

static void test_debug_frame(void **state)
{
    (void)state;
    struct program program;
    struct section frames = {0};
    make_debug_frame(&frames, CODE_ADDR);
    begin_program(&program);
    add_section(&program, ".debug_frame", 0, 0, frames.data, frames.n_bytes);
    _cleanup_(elf_file_freep) struct elf_file *file = end_program(&program, EM_X86_64);
    _cleanup_(cfi_table_freep) struct cfi_table *table = NULL;
    assert_int_equal(cfi_table_build_elf(file, &table, NULL), 0);
    assert_string_equal(table->origin, ".debug_frame");
    assert_string_equal(table_text(table), DEBUG_FRAME_ROWS);
}

static void test_compressed_debug_frame(void **state)
{
    (void)state;
    static const struct {
        int claimed_more_bytes;
        int result;
    } cases[] = {{0, 0}, {-1, -ENODATA}, {1, -ENODATA}, {INT32_MAX, -ENODATA}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct program program;
        struct section frames = {0};
        struct section zlib = {0};
        make_debug_frame(&frames, CODE_ADDR);
        deflate(&frames, frames.n_bytes + (uint64_t)cases[i].claimed_more_bytes, &zlib);
        begin_program(&program);
        add_section(&program, ".debug_frame", SHF_COMPRESSED, 0, zlib.data, zlib.n_bytes);
        _cleanup_(elf_file_freep) struct elf_file *file = end_program(&program, EM_X86_64);
        _cleanup_(cfi_table_freep) struct cfi_table *table = NULL;
        assert_int_equal(cfi_table_build_elf(file, &table, NULL), cases[i].result);
        if (table) {
            assert_string_equal(table_text(table), DEBUG_FRAME_ROWS);
        }
    }
}

/* Start-up code has .eh_frame, and the program itself was compiled without. */
static void test_both(void **state)
{
    (void)state;
    struct program program;
    struct section debug_frames = {0};
    struct section frames = {0};
    make_debug_frame(&debug_frames, CODE_ADDR);
    put_usual_cie(&frames);
    put_fde(&frames, CODE_ADDR + 0x80, 0x10, "\x7\x10", 2);
    begin_program(&program);
    add_section(&program, ".eh_frame", SHF_ALLOC, SECTION_ADDR, frames.data, frames.n_bytes);
    add_section(&program, ".debug_frame", 0, 0, debug_frames.data, debug_frames.n_bytes);
    _cleanup_(elf_file_freep) struct elf_file *file = end_program(&program, EM_X86_64);
    _cleanup_(cfi_table_freep) struct cfi_table *table = NULL;
    assert_int_equal(cfi_table_build_elf(file, &table, NULL), 0);
    assert_string_equal(table->origin, ".eh_frame, .debug_frame");
    assert_string_equal(table_text(table), DEBUG_FRAME_ROWS "0x10080 end\n"
                                                            "0x10090 none\n");
}

static void test_files_without(void **state)
{
    (void)state;
    static const struct {
        uint16_t machine;
        int result;
    } cases[] = {{EM_X86_64, -ENODATA}, {EM_AARCH64, -ENODATA}, {EM_RISCV, -ENOTSUP}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct program program;
        begin_program(&program);
        _cleanup_(elf_file_freep) struct elf_file *file = end_program(&program, cases[i].machine);
        struct cfi_table *table = NULL;
        struct error error = {0};
        assert_int_equal(cfi_table_build_elf(file, &table, &error), cases[i].result);
        assert_true(error_is_set(&error));
        assert_null(table);
    }
}

static struct cfi_table *build_memory(const void *data, size_t n_bytes)
{
    _cleanup_(elf_file_freep) struct elf_file *file = NULL;
    struct cfi_table *table = NULL;
    struct error error = {0};
    assert_int_equal(elf_file_open_memory(data, n_bytes, &file, &error), 0);
    if (cfi_table_build_elf(file, &table, &error) < 0) {
        fail_msg("%s", error.message);
    }
    return table;
}

/* The C++ runtime needs no section headers either. */
static void test_without_section_headers(void **state)
{
    (void)state;
    _cleanup_(freep) char *program = NULL;
    size_t n_bytes;
    assert_int_equal(fd_read_file("/proc/self/exe", 64 << 20, &program, &n_bytes), 0);
    _cleanup_(cfi_table_freep) struct cfi_table *with = build_memory(program, n_bytes);
    Elf64_Ehdr *header = (void *)program;
    header->e_shoff = 0;
    header->e_shnum = 0;
    header->e_shstrndx = 0;
    _cleanup_(cfi_table_freep) struct cfi_table *without = build_memory(program, n_bytes);
    assert_string_equal(with->origin, ".eh_frame");
    assert_string_equal(without->origin, ".eh_frame");
    assert_int_equal(with->n_refused, 0);
    assert_int_equal(without->n_refused, 0);
    assert_int_equal(with->base_addr, without->base_addr);
    assert_int_equal(with->n_rows, without->n_rows);
    assert_true(with->n_rows > 100);
    assert_memory_equal(with->rows, without->rows, with->n_rows * sizeof(with->rows[0]));
}

static void test_the_vdso(void **state)
{
    (void)state;
    const char *vdso = (const char *)getauxval(AT_SYSINFO_EHDR);
    if (!vdso) {
        skip();
    }
    _cleanup_(cfi_table_freep) struct cfi_table *table = build_memory(vdso, 4096);
    assert_true(table->n_functions > 1);
    assert_int_equal(table->n_refused, 0);
#if defined(__aarch64__)
    /* __kernel_rt_sigreturn is here. */
    assert_non_null(strstr(table_text(table), " signal\n"));
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_debug_frame),
        cmocka_unit_test(test_compressed_debug_frame),
        cmocka_unit_test(test_both),
        cmocka_unit_test(test_files_without),
        cmocka_unit_test(test_without_section_headers),
        cmocka_unit_test(test_the_vdso),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
