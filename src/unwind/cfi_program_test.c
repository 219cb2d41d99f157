/* SPDX-License-Identifier: MIT */
/* One function's program in, rows out; read through a table, as they are used. */
#include "unwind/cfi_program.h"
#include "unwind/cfi_test.h"

#define ARRAY(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

/* The rows of a function of 256 bytes at CODE_ADDR, behind the usual CIE of its machine. */
static const char *rows_of(enum cfi_machine machine, const char *letters, const void *program,
                           size_t n_bytes)
{
    struct section section = {0};
    if (machine == CFI_MACHINE_X86_64) {
        put_cie(&section, letters, machine, ARRAY(0x0c, 7, 8, 0x90, 1));
    } else {
        put_cie(&section, letters, machine, ARRAY(0x0c, 31, 0));
    }
    put_fde(&section, CODE_ADDR, 256, program, n_bytes);
    _cleanup_(cfi_table_freep) struct cfi_table *table = build_section(machine, &section);
    const char *text = table_text(table);
    /* Behind each of them there is nothing. */
    const char *end = strstr(text, "0x10100 none\n");
    assert_non_null(end);
    *(char *)(uintptr_t)end = '\0';
    return text;
}

#define X86_64(...) rows_of(CFI_MACHINE_X86_64, "zR", ARRAY(__VA_ARGS__))
#define AARCH64(...) rows_of(CFI_MACHINE_AARCH64, "zR", ARRAY(__VA_ARGS__))

static void test_push_and_pop(void **state)
{
    (void)state;
    /* push rbp; …; pop rbp; ret; the code goes on behind it as it was before. */
    assert_string_equal(X86_64(0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x02, 100, 0x0a, 0x0c, 7, 8,
                               0xc6, 0x41, 0x0b),
                        "0x10000 CFA=sp+8\n"
                        "0x10001 CFA=sp+16 fp=cfa-16\n"
                        "0x10004 CFA=rbp+16 fp=cfa-16\n"
                        "0x10068 CFA=sp+8\n"
                        "0x10069 CFA=rbp+16 fp=cfa-16\n");
}

static void test_what_changes_nothing_makes_no_row(void **state)
{
    (void)state;
    /* Other registers, GNU_args_size, and what is set to what it was. */
    assert_string_equal(X86_64(0x41, 0x83, 2, 0x41, 0x8c, 3, 0x41, 0x2e, 32, 0x41, 0x0e, 8, 0x41,
                               0xc3, 0x41, 0x05, 17, 4, 0x06, 17),
                        "0x10000 CFA=sp+8\n");
}

static void test_all_ways_to_advance(void **state)
{
    (void)state;
    assert_string_equal(X86_64(0x42, 0x0e, 16, 0x02, 3, 0x0e, 24, 0x03, 4, 0, 0x0e, 32, 0x04, 5, 0,
                               0, 0, 0x0e, 40, 0x1d, 6, 0, 0, 0, 0, 0, 0, 0, 0x0e, 48),
                        "0x10000 CFA=sp+8\n"
                        "0x10002 CFA=sp+16\n"
                        "0x10005 CFA=sp+24\n"
                        "0x10009 CFA=sp+32\n"
                        "0x1000e CFA=sp+40\n"
                        "0x10014 CFA=sp+48\n");
    /* Past the end of the function: of no interest, however far. */
    assert_string_equal(X86_64(0x04, 0xff, 0xff, 0xff, 0xff, 0x0e, 16), "0x10000 CFA=sp+8\n");
    assert_string_equal(X86_64(0x1d, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0e, 16),
                        "0x10000 CFA=sp+8\n");
    assert_string_equal(X86_64(0x03, 0, 1, 0x0e, 16), "0x10000 CFA=sp+8\n");
}

static void test_signed_forms(void **state)
{
    (void)state;
    /* def_cfa_sf rsp -4 * -8, def_cfa_offset_sf, offset_extended_sf rbp, the old GNU form. */
    assert_string_equal(
        X86_64(0x41, 0x12, 7, 0x7c, 0x41, 0x13, 0x7b, 0x41, 0x11, 6, 3, 0x41, 0x2f, 6, 2),
        "0x10000 CFA=sp+8\n"
        "0x10001 CFA=sp+32\n"
        "0x10002 CFA=sp+40\n"
        "0x10003 CFA=sp+40 fp=cfa-24\n"
        /* +16 from the CFA: above the frame, which is no place to save it. */
        "0x10004 CFA=sp+40 fp=sp+56\n");
}

static void test_realigned_stack(void **state)
{
    (void)state;
    /* def_cfa r10 0; then expression rbp: rbp + 0; def_cfa_expression: *(rbp - 8). */
    assert_string_equal(X86_64(0x45, 0x0c, 10, 0, 0x4a, 0x10, 6, 2, 0x76, 0, 0x42, 0x0f, 3, 0x76,
                               0x78, 0x06, 0x70, 0x0c, 10, 0, 0x41, 0x0c, 7, 8, 0xc6),
                        "0x10000 CFA=sp+8\n"
                        "0x10005 unsupported\n"
                        "0x10011 CFA=*(rbp-8) fp=rbp+0\n"
                        "0x10041 unsupported\n"
                        "0x10042 CFA=sp+8\n");
}

static void test_expressions(void **state)
{
    (void)state;
    /* The PLT's; *(rsp + 40) + 8; rsp + 24; something else. */
    assert_string_equal(X86_64(0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22,
                               0x41, 0x0f, 5, 0x77, 40, 0x06, 0x23, 8, 0x41, 0x0f, 2, 0x77, 24,
                               0x41, 0x0f, 2, 0x77, 0x80, 0x41, 0x0c, 7, 16),
                        "0x10000 CFA=plt(11)\n"
                        "0x10001 CFA=*(sp+40)+8\n"
                        "0x10002 CFA=sp+24\n"
                        "0x10003 unsupported\n"
                        "0x10004 CFA=sp+16\n");
    /* rbp saved at an address that is told by the register the CFA counts from, or by another. */
    assert_string_equal(X86_64(0x0c, 6, 16, 0x10, 6, 2, 0x76, 0, 0x41, 0x10, 6, 2, 0x77, 0, 0x41,
                               0x16, 6, 2, 0x76, 0, 0x41, 0x09, 6, 3, 0x41, 0xc6),
                        "0x10000 CFA=rbp+16 fp=cfa-16\n"
                        "0x10001 unsupported\n"
                        "0x10004 CFA=rbp+16\n");
    /* An offset means nothing where the CFA is told by an expression. */
    assert_string_equal(X86_64(0x0f, 3, 0x77, 40, 0x06, 0x0e, 48), "0x10000 unsupported\n");
    assert_string_equal(X86_64(0x0f, 3, 0x77, 40, 0x06, 0x0d, 6), "0x10000 unsupported\n");
}

static void test_what_rows_cannot_express(void **state)
{
    (void)state;
    /* CFA offsets of 32767 words fit, 32768 do not; half words do not. */
    assert_string_equal(
        X86_64(0x0e, 0xf8, 0xff, 0x0f, 0x41, 0x0e, 0x80, 0x80, 0x10, 0x41, 0x0e, 12),
        "0x10000 CFA=sp+262136\n"
        "0x10001 unsupported\n");
    /* rbp saved 128 words below the CFA fits, one further does where it is near the sp. */
    assert_string_equal(X86_64(0x0e, 0x80, 0x20, 0x86, 0x80, 1, 0x41, 0x86, 0x81, 1, 0x41, 0x86,
                               0x81, 4, 0x41, 0x0c, 3, 8),
                        "0x10000 CFA=sp+4096 fp=cfa-1024\n"
                        "0x10001 unsupported\n");
    assert_string_equal(X86_64(0x0e, 0x80, 0x20, 0x86, 0x82, 3),
                        "0x10000 CFA=sp+4096 fp=sp+1008\n");
    /* The return address elsewhere, in a register, or told by an expression. */
    assert_string_equal(X86_64(0x90, 2, 0x41, 0x09, 16, 1, 0x41, 0x10, 16, 2, 0x77, 8, 0x41, 0xd0),
                        "0x10000 unsupported\n"
                        "0x10003 CFA=sp+8\n");
    /* The stack pointer is not the CFA; val_offset 0 says that it is. */
    assert_string_equal(X86_64(0x14, 7, 1, 0x41, 0x14, 7, 0, 0x41, 0x15, 7, 1, 0x41, 0x08, 7, 0x41,
                               0x87, 4, 0x41, 0x06, 7),
                        "0x10000 unsupported\n"
                        "0x10001 CFA=sp+8\n"
                        "0x10002 unsupported\n"
                        "0x10003 CFA=sp+8\n"
                        "0x10004 unsupported\n"
                        "0x10005 CFA=sp+8\n");
}

static void test_ends_and_signal_frames(void **state)
{
    (void)state;
    assert_string_equal(X86_64(0x07, 16, 0x41, 0x0e, 16, 0x41, 0xd0), "0x10000 end\n"
                                                                      "0x10002 CFA=sp+16\n");
    /* An undefined frame pointer is one that nobody needs. */
    assert_string_equal(X86_64(0x07, 6), "0x10000 CFA=sp+8\n");
    /* What glibc and the kernel's vdso write: whatever the rules are, the frame is known. */
    assert_string_equal(rows_of(CFI_MACHINE_X86_64, "zRS",
                                ARRAY(0x0f, 4, 0x77, 0xa0, 1, 0x06, 0x10, 16, 3, 0x77, 0xa8, 1)),
                        "0x10000 signal\n");
    assert_string_equal(rows_of(CFI_MACHINE_AARCH64, "zRS", ARRAY(0x0c, 29, 0, 0x9d, 0, 0x9e, 1)),
                        "0x10000 signal\n");
}

static void test_remembering(void **state)
{
    (void)state;
    assert_string_equal(X86_64(0x0a, 0x41, 0x0e, 16, 0x0a, 0x41, 0x0e, 24, 0x41, 0x0b, 0x41, 0x0b),
                        "0x10000 CFA=sp+8\n"
                        "0x10001 CFA=sp+16\n"
                        "0x10002 CFA=sp+24\n"
                        "0x10003 CFA=sp+16\n"
                        "0x10004 CFA=sp+8\n");
    /* Nothing to recall. */
    assert_string_equal(X86_64(0x41, 0x0e, 16, 0x41, 0x0b, 0x41, 0x0e, 32),
                        "0x10000 CFA=sp+8\n"
                        "0x10001 CFA=sp+16\n"
                        "0x10002 unsupported\n");
    uint8_t deep[64] = {0x41, 0x0e, 16, 0x41};
    memset(deep + 4, 0x0a, sizeof(deep) - 4);
    assert_string_equal(rows_of(CFI_MACHINE_X86_64, "zR", deep, sizeof(deep)),
                        "0x10000 CFA=sp+8\n"
                        "0x10001 CFA=sp+16\n"
                        "0x10002 unsupported\n");
}

static void test_programs_that_make_no_sense(void **state)
{
    (void)state;
    static const uint8_t programs[][10] = {
        {0x41, 0x3f},                         /* no such instruction */
        {0x41, 0x0f, 100, 0x77},              /* a block longer than the program */
        {0x41, 0x04, 1},                      /* cut off */
        {0x41, 0x01, 0, 0, 0, 0, 0, 0, 0, 0}, /* an absolute address where all are relative */
        {0x41, 0x0e, 0x80, 0x80},
        {0x41, 0x0e, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
    };
    static const size_t n_bytes[] = {2, 4, 3, 10, 4, 10};
    for (size_t i = 0; i < sizeof(n_bytes) / sizeof(n_bytes[0]); i++) {
        assert_string_equal(rows_of(CFI_MACHINE_X86_64, "zR", programs[i], n_bytes[i]),
                            "0x10000 CFA=sp+8\n"
                            "0x10001 unsupported\n");
    }
}

static void test_aarch64_frames(void **state)
{
    (void)state;
    /* stp x29, x30, [sp, -32]!; mov x29, sp; …; ldp x29, x30, [sp], 32; ret */
    assert_string_equal(
        AARCH64(0x41, 0x0e, 32, 0x9d, 4, 0x9e, 3, 0x41, 0x0d, 29, 0x44, 0x0c, 31, 0, 0xde, 0xdd),
        "0x10000 CFA=sp+0 ra=lr\n"
        "0x10004 CFA=sp+32 fp=cfa-32\n"
        "0x10008 CFA=x29+32 fp=cfa-32\n"
        "0x10018 CFA=sp+0 ra=lr\n");
    /* Only x30 is saved; then x29 elsewhere; then x30 where it was, x29 saved. */
    assert_string_equal(AARCH64(0x0e, 16, 0x9e, 2, 0x41, 0x9d, 1, 0x41, 0xde),
                        "0x10000 CFA=sp+16 ra=cfa-16\n"
                        "0x10004 unsupported\n"
                        "0x10008 CFA=sp+16 fp=cfa-8 ra=lr\n");
    /* A frame of 4 KiB with the registers above the arguments of its callees. */
    assert_string_equal(
        AARCH64(0x0e, 0x80, 0x20, 0x9d, 0xfc, 3, 0x9e, 0xfb, 3, 0x41, 0xdd, 0x41, 0x9e, 0xfc, 3),
        "0x10000 CFA=sp+4096 fp=sp+32\n"
        "0x10004 CFA=sp+4096 ra=sp+40\n"
        "0x10008 CFA=sp+4096 ra=sp+32\n");
    assert_string_equal(AARCH64(0x07, 30), "0x10000 end\n");
}

static void test_aarch64_signed_return_addresses(void **state)
{
    (void)state;
    /* paciasp, a frame, autiasp; 'B': with the other key. */
    static const uint8_t program[] = {0x41, 0x2d, 0x41, 0x0e, 16,   0x9d, 2,    0x9e,
                                      1,    0x41, 0x0e, 0,    0xde, 0xdd, 0x41, 0x2d};
    const char *rows = "0x10000 CFA=sp+0 ra=lr\n"
                       "0x10004 CFA=sp+0 ra=lr signed\n"
                       "0x10008 CFA=sp+16 fp=cfa-16 signed\n"
                       "0x1000c CFA=sp+0 ra=lr signed\n"
                       "0x10010 CFA=sp+0 ra=lr\n";
    assert_string_equal(rows_of(CFI_MACHINE_AARCH64, "zR", program, sizeof(program)), rows);
    assert_string_equal(rows_of(CFI_MACHINE_AARCH64, "zRB", program, sizeof(program)), rows);
    assert_string_equal(rows_of(CFI_MACHINE_AARCH64, "zRG", program, sizeof(program)), rows);
}

static void test_rows_are_merged(void **state)
{
    (void)state;
    _cleanup_(cfi_rows_releasep) struct cfi_rows rows = {0};
    struct cfi_row a = {.kind = CFI_SP, .cfa = 1};
    struct cfi_row b = {.kind = CFI_SP, .cfa = 2};
    cfi_rows_add(&rows, 0, a);
    cfi_rows_add(&rows, 4, a);
    cfi_rows_add(&rows, 8, b);
    cfi_rows_add(&rows, 8, a); /* says it again, and makes it what was before */
    assert_int_equal(rows.n_rows, 1);
    cfi_rows_add(&rows, 12, b);
    cfi_rows_add(&rows, 16, a);
    assert_int_equal(rows.n_rows, 3);
    assert_int_equal(rows.rows[1].pc, 12);
    for (uint32_t pc = 20; pc < 10000; pc++) {
        cfi_rows_add(&rows, pc, pc % 2 ? a : b);
    }
    assert_int_equal(rows.failure, 0);
    assert_int_equal(rows.n_rows, 3 + 10000 - 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_push_and_pop),
        cmocka_unit_test(test_what_changes_nothing_makes_no_row),
        cmocka_unit_test(test_all_ways_to_advance),
        cmocka_unit_test(test_signed_forms),
        cmocka_unit_test(test_realigned_stack),
        cmocka_unit_test(test_expressions),
        cmocka_unit_test(test_what_rows_cannot_express),
        cmocka_unit_test(test_ends_and_signal_frames),
        cmocka_unit_test(test_remembering),
        cmocka_unit_test(test_programs_that_make_no_sense),
        cmocka_unit_test(test_aarch64_frames),
        cmocka_unit_test(test_aarch64_signed_return_addresses),
        cmocka_unit_test(test_rows_are_merged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
