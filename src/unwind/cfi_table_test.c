/* SPDX-License-Identifier: MIT */
#include "unwind/cfi_test.h"

static void check_text(const struct cfi_table *table, struct cfi_row row, const char *wanted)
{
    char text[100];
    cfi_row_print(table, &row, text, sizeof(text));
    assert_string_equal(text, wanted);
    /* Whatever room there is for it. */
    char cut[8];
    cfi_row_print(table, &row, cut, sizeof(cut));
    assert_true(strlen(cut) < sizeof(cut));
    assert_memory_equal(cut, wanted, strlen(cut));
}

static void test_rows_as_text(void **state)
{
    (void)state;
    struct cfi_table x86 = {.machine = CFI_MACHINE_X86_64, .base_addr = 0x400000};
    check_text(&x86, (struct cfi_row){.pc = 16, .kind = CFI_SP, .cfa = 2, .fp = -2},
               "0x400010 CFA=sp+16 fp=cfa-16");
    check_text(&x86, (struct cfi_row){.kind = CFI_FP, .cfa = 2, .fp = -2},
               "0x400000 CFA=rbp+16 fp=cfa-16");
    check_text(&x86, (struct cfi_row){.kind = CFI_SP_DEREF, .cfa = 5}, "0x400000 CFA=*(sp+40)");
    check_text(&x86, (struct cfi_row){.kind = CFI_FP_DEREF, .cfa = -1, .fp = 1},
               "0x400000 CFA=*(rbp-8) fp=rbp+0");
    check_text(&x86, (struct cfi_row){.kind = CFI_SP_DEREF_8, .cfa = 3}, "0x400000 CFA=*(sp+24)+8");
    check_text(&x86, (struct cfi_row){.kind = CFI_PLT, .cfa = 11}, "0x400000 CFA=plt(11)");
    check_text(&x86, (struct cfi_row){.kind = CFI_NONE}, "0x400000 none");
    check_text(&x86, (struct cfi_row){.kind = CFI_END}, "0x400000 end");
    check_text(&x86, (struct cfi_row){.kind = CFI_SIGNAL}, "0x400000 signal");
    check_text(&x86, (struct cfi_row){.kind = CFI_UNSUPPORTED}, "0x400000 unsupported");
    check_text(&x86, (struct cfi_row){.kind = 15}, "0x400000 ?");
    struct cfi_table aarch64 = {.machine = CFI_MACHINE_AARCH64};
    check_text(&aarch64, (struct cfi_row){.kind = CFI_SP | CFI_RA_LR}, "0x0 CFA=sp+0 ra=lr");
    check_text(&aarch64, (struct cfi_row){.kind = CFI_FP | CFI_RA_SIGNED, .cfa = 4, .fp = -4},
               "0x0 CFA=x29+32 fp=cfa-32 signed");
    check_text(&aarch64, (struct cfi_row){.kind = CFI_SP | CFI_RA_AT_FP, .cfa = 200, .fp = 5},
               "0x0 CFA=sp+1600 ra=sp+32");
}

static void test_find(void **state)
{
    (void)state;
    struct section section = {0};
    put_usual_cie(&section);
    /* A row for each of 200 bytes, then one for 1000. */
    uint8_t program[600];
    for (size_t i = 0; i < 200; i++) {
        program[3 * i] = 0x0e;
        program[3 * i + 1] = (uint8_t)(8 * (i % 8 + 1));
        program[3 * i + 2] = 0x41;
    }
    put_fde(&section, CODE_ADDR + 0x80, 1200, program, sizeof(program));
    _cleanup_(cfi_table_freep) struct cfi_table *table =
        build_section(CFI_MACHINE_X86_64, &section);
    assert_int_equal(table->base_addr, CODE_ADDR);
    assert_int_equal(table->base_addr % CFI_PAGE_BYTES, 0);
    assert_int_equal(table->end_addr, CODE_ADDR + 0x80 + 1200);
    for (uint64_t offset = 0; offset < 2000; offset++) {
        struct cfi_row row = cfi_table_find(table, CODE_ADDR + offset);
        bool is_inside = offset >= 0x80 && offset < 0x80 + 1200;
        assert_int_equal(row.kind, is_inside ? CFI_SP : CFI_NONE);
        if (is_inside) {
            uint64_t index = offset - 0x80;
            assert_int_equal(row.cfa, (index < 199 ? index : 199) % 8 + 1);
            assert_true(row.pc <= offset);
        }
    }
    static const uint64_t outside[] = {0, CODE_ADDR - 1, CODE_ADDR + 5000, UINT64_MAX};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(cfi_table_find(table, outside[i]).kind, CFI_NONE);
    }
}

static void test_memory(void **state)
{
    (void)state;
    struct section section = {0};
    put_usual_cie(&section);
    put_fde(&section, CODE_ADDR, 1000, "", 0);
    struct cfi_table *table = build_section(CFI_MACHINE_X86_64, &section);
    assert_int_equal(cfi_table_memory_bytes(table), sizeof(*table) + 2 * 8 + 5 * 4);
    assert_null(cfi_table_free(table));
    assert_null(cfi_table_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_as_text),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
