/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "unwind/elf_test.h"

#define STUBS_ADDR (CODE_ADDR + 0x100)

/* A program of one described function, and stubs that nothing describes. */
static struct cfi_table *build_stubs(uint16_t machine, const char *name, const void *code,
                                     size_t n_bytes)
{
    struct program program;
    struct section frames = {0};
    put_usual_cie(&frames);
    put_fde(&frames, CODE_ADDR, 0x10, "", 0);
    begin_program(&program);
    add_section(&program, ".eh_frame", SHF_ALLOC, SECTION_ADDR, frames.data, frames.n_bytes);
    add_section(&program, name, SHF_ALLOC | SHF_EXECINSTR, STUBS_ADDR, code, n_bytes);
    _cleanup_(elf_file_freep) struct elf_file *file = end_program(&program, machine);
    struct cfi_table *table = NULL;
    struct error error = {0};
    if (cfi_table_build_elf(file, &table, &error) < 0) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(table->n_refused, 0);
    return table;
}

/* The rows behind those of the function. */
static const char *stub_rows(const struct cfi_table *table)
{
    const char *text = table_text(table);
    const char *rest = strstr(text, "0x10010 none\n");
    assert_non_null(rest);
    return rest + strlen("0x10010 none\n");
}

/* Words of code, as a disassembler prints them. */
static size_t put_hex(uint8_t *code, const char *hex)
{
    size_t n_bytes = 0;
    for (char *rest; *hex; hex = rest) {
        code[n_bytes] = (uint8_t)strtoul(hex, &rest, 16);
        assert_ptr_not_equal(rest, hex);
        n_bytes++;
        rest += *rest == ' ';
    }
    return n_bytes;
}

static void test_what_linkers_write(void **state)
{
    (void)state;
    static const struct {
        const char *section, *code, *rows;
    } cases[] = {
        /* lld, and GNU ld, bound lazily or not */
        {".plt",
         "ff 35 3a 22 00 00 ff 25 3c 22 00 00 0f 1f 40 00 "
         "ff 25 3a 22 00 00 68 00 00 00 00 e9 e0 ff ff ff "
         "ff 25 32 22 00 00 68 01 00 00 00 e9 d0 ff ff ff",
         "0x10100 CFA=sp+16\n0x10106 CFA=sp+24\n0x1010c CFA=sp+8\n"
         "0x1011b CFA=sp+16\n0x10120 CFA=sp+8\n"
         "0x1012b CFA=sp+16\n0x10130 none\n"},
        /* lld with endbr64: the stubs that push are one section, those that are called another */
        {".plt",
         "ff 35 2a 22 00 00 ff 25 2c 22 00 00 0f 1f 40 00 "
         "f3 0f 1e fa 68 00 00 00 00 e9 e2 ff ff ff 66 90",
         "0x10100 CFA=sp+16\n0x10106 CFA=sp+24\n0x1010c CFA=sp+8\n"
         "0x10119 CFA=sp+16\n0x1011e CFA=sp+8\n0x10120 none\n"},
        {".plt.sec", "f3 0f 1e fa ff 25 16 22 00 00 66 0f 1f 44 00 00",
         "0x10100 CFA=sp+8\n0x10110 none\n"},
        {".iplt", "ff 25 e2 7c 00 00 68 00 00 00 00 e9 b0 f7 d5 ff",
         "0x10100 CFA=sp+8\n0x1010b CFA=sp+16\n0x10110 none\n"},
        /* mold: a head of two pushes, and stubs that pass their number in a register */
        {".plt",
         "f3 0f 1e fa 41 53 ff 35 4c 24 00 00 ff 25 4e 24 00 00 cc cc cc cc cc cc cc cc cc cc cc "
         "cc cc cc f3 0f 1e fa 41 bb 00 00 00 00 ff 25 38 24 00 00",
         "0x10100 CFA=sp+8\n0x10106 CFA=sp+16\n0x1010c CFA=sp+24\n0x10112 CFA=sp+8\n"
         "0x10130 none\n"},
        {".plt.got", "f3 0f 1e fa ff 25 4e 13 00 00 cc cc cc cc cc cc",
         "0x10100 CFA=sp+8\n0x10110 none\n"},
        /* GNU ld, a static program; and a branch with bnd before it */
        {".plt", "ff 25 e2 2f 0a 00 66 90 ff 25 e2 2f 0a 00 66 90",
         "0x10100 CFA=sp+8\n0x10110 none\n"},
        {".plt", "68 00 00 00 00 f2 e9 e1 ff ff ff 66 2e 0f 1f 84 00 00 00 00 00",
         "0x10100 CFA=sp+8\n0x10105 CFA=sp+16\n0x1010b CFA=sp+8\n0x10115 none\n"},
        /* what is not known (lld -z retpolineplt), or cut off, is not guessed at */
        {".plt", "ff 35 7a 22 00 00 4c 8b 1d 7b 22 00 00 e8 0e 00 00 00", ""},
        {".plt", "ff 25 e2 2f", ""},
        {".plt", "68 00 00 00 00 68 00 00 00 00 68 00 00 00 00 68 00 00 00 00", ""},
        {".plt", "66 66 66", ""},
        {".plt", "0f 1f", ""},
        {".text.stubs", "ff 25 e2 2f 0a 00", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t code[128];
        size_t n_bytes = put_hex(code, cases[i].code);
        _cleanup_(cfi_table_freep) struct cfi_table *table =
            build_stubs(EM_X86_64, cases[i].section, code, n_bytes);
        assert_string_equal(stub_rows(table), cases[i].rows);
    }
}

static void test_aarch64(void **state)
{
    (void)state;
    static const uint32_t code[] = {
        0xd503245f, /* bti c */
        0xa9bf7bf0, /* stp x16, x30, [sp, #-16]! */
        0xf00000f0, /* adrp x16, … */
        0xf947ca11, /* ldr x17, [x16, #3984] */
        0x913e4210, /* add x16, x16, #0xf90 */
        0xd61f0220, /* br x17 */
        0xd503201f, /* nop */
        0xf00000f0, 0xf947ce11, 0x913e6210, 0xd61f0220,
    };
    _cleanup_(cfi_table_freep) struct cfi_table *table =
        build_stubs(EM_AARCH64, ".plt", code, sizeof(code));
    assert_string_equal(stub_rows(table), "0x10100 CFA=sp+0 ra=lr\n"
                                          "0x10108 CFA=sp+16 ra=cfa-8\n"
                                          "0x10118 CFA=sp+0 ra=lr\n"
                                          "0x1012c none\n");
}

/* Code far apart, so that a row is further from the one before it than a short advance says. */
static void test_long_section(void **state)
{
    (void)state;
    uint8_t code[0x100 + 10];
    memset(code, 0x90, sizeof(code));
    put_hex(code + 0x100, "68 00 00 00 00 e9 e1 ff ff ff");
    _cleanup_(cfi_table_freep) struct cfi_table *table =
        build_stubs(EM_X86_64, ".plt", code, sizeof(code));
    assert_string_equal(stub_rows(table), "0x10100 CFA=sp+8\n0x10205 CFA=sp+16\n0x1020a none\n");
}

/* Where the linker described them itself, its word counts. */
static void test_described(void **state)
{
    (void)state;
    struct program program;
    struct section frames = {0};
    uint8_t code[16];
    size_t n_bytes = put_hex(code, "ff 25 3a 22 00 00 68 00 00 00 00 e9 e0 ff ff ff");
    put_usual_cie(&frames);
    put_fde(&frames, STUBS_ADDR, (uint32_t)n_bytes, "\x0e\x20", 2);
    begin_program(&program);
    add_section(&program, ".eh_frame", SHF_ALLOC, SECTION_ADDR, frames.data, frames.n_bytes);
    add_section(&program, ".plt", SHF_ALLOC | SHF_EXECINSTR, STUBS_ADDR, code, n_bytes);
    _cleanup_(elf_file_freep) struct elf_file *file = end_program(&program, EM_X86_64);
    _cleanup_(cfi_table_freep) struct cfi_table *table = NULL;
    assert_int_equal(cfi_table_build_elf(file, &table, NULL), 0);
    assert_string_equal(table_text(table), "0x10100 CFA=sp+32\n0x10110 none\n");
}

static void test_empty_section(void **state)
{
    (void)state;
    _cleanup_(cfi_table_freep) struct cfi_table *table = build_stubs(EM_X86_64, ".plt", "", 0);
    assert_string_equal(stub_rows(table), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_linkers_write), cmocka_unit_test(test_aarch64),
        cmocka_unit_test(test_long_section),       cmocka_unit_test(test_described),
        cmocka_unit_test(test_empty_section),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
