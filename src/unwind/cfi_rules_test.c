/* SPDX-License-Identifier: MIT */
/* The edges of what a row can tell; whole functions are in cfi_program_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unwind/cfi_rules.h"

enum { RBP = 6, RSP = 7, X29 = 29, SP = 31 };

static struct cfi_rules usual(int64_t cfa_bytes)
{
    return (struct cfi_rules){
        .cfa = {.kind = CFI_CFA_REGISTER, .register_number = RSP, .offset_bytes = cfa_bytes},
        .ra = {.kind = CFI_RULE_AT_CFA, .offset_bytes = -8},
    };
}

static struct cfi_row row_of(const struct cfi_rules *rules)
{
    return cfi_rules_to_row(CFI_MACHINE_X86_64, rules, false);
}

static void test_cfa_offsets(void **state)
{
    (void)state;
    static const struct {
        int64_t offset_bytes;
        int kind, words;
    } cases[] = {
        {8, CFI_SP, 1},
        {-16, CFI_SP, -2},
        {INT64_C(8) * INT16_MAX, CFI_SP, INT16_MAX},
        {INT64_C(8) * INT16_MIN, CFI_SP, INT16_MIN},
        {INT64_C(8) * INT16_MAX + 8, CFI_UNSUPPORTED, 0},
        {INT64_C(8) * INT16_MIN - 8, CFI_UNSUPPORTED, 0},
        {12, CFI_UNSUPPORTED, 0},
        {CFI_FAR_AWAY, CFI_UNSUPPORTED, 0},
        {-CFI_FAR_AWAY, CFI_UNSUPPORTED, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cfi_rules rules = usual(cases[i].offset_bytes);
        struct cfi_row row = row_of(&rules);
        assert_int_equal(row.kind, cases[i].kind);
        assert_int_equal(row.cfa, cases[i].words);
    }
}

static void test_where_the_frame_pointer_is_saved(void **state)
{
    (void)state;
    static const struct {
        int64_t cfa_bytes, fp_bytes;
        int kind, fp;
    } cases[] = {
        {16, -16, CFI_SP, -2},
        {4096, -1024, CFI_SP, -128},
        {4096, -1032, CFI_UNSUPPORTED, 0}, /* too far from either */
        {4096, -4096, CFI_SP, 1},
        {4096, -4096 + 1008, CFI_SP, 127},
        {4096, -4096 + 1016, CFI_UNSUPPORTED, 0},
        {4096, -4104, CFI_UNSUPPORTED, 0}, /* below the stack */
        {16, -12, CFI_UNSUPPORTED, 0},
        {16, 0, CFI_SP, 3}, /* above the frame, near the sp */
        {16, CFI_FAR_AWAY, CFI_UNSUPPORTED, 0},
        {16, -CFI_FAR_AWAY, CFI_UNSUPPORTED, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cfi_rules rules = usual(cases[i].cfa_bytes);
        rules.fp = (struct cfi_rule){.kind = CFI_RULE_AT_CFA, .offset_bytes = cases[i].fp_bytes};
        struct cfi_row row = row_of(&rules);
        assert_int_equal(row.kind, cases[i].kind);
        assert_int_equal(row.fp, cases[i].fp);
        /* The same place, told from the register that the CFA counts from. */
        rules.fp = (struct cfi_rule){.kind = CFI_RULE_AT_REGISTER,
                                     .register_number = RSP,
                                     .offset_bytes = cases[i].fp_bytes + cases[i].cfa_bytes};
        row = row_of(&rules);
        assert_int_equal(row.kind, cases[i].kind);
        assert_int_equal(row.fp, cases[i].fp);
        rules.fp.register_number = RBP;
        assert_int_equal(row_of(&rules).kind, CFI_UNSUPPORTED);
    }
}

static void test_what_counts_most(void **state)
{
    (void)state;
    struct cfi_rules rules = usual(8);
    rules.is_sp_odd = true;
    assert_int_equal(row_of(&rules).kind, CFI_UNSUPPORTED);
    assert_int_equal(cfi_rules_to_row(CFI_MACHINE_X86_64, &rules, true).kind, CFI_SIGNAL);
    rules.ra.kind = CFI_RULE_UNDEFINED;
    struct cfi_row row = cfi_rules_to_row(CFI_MACHINE_X86_64, &rules, true);
    assert_int_equal(row.kind, CFI_END);
    /* Rows of one kind are equal, whatever they were made of. */
    assert_int_equal(row.cfa, 0);
    assert_int_equal(row.fp, 0);
}

static void test_return_addresses_of_aarch64(void **state)
{
    (void)state;
    struct cfi_rules rules = {
        .cfa = {.kind = CFI_CFA_REGISTER, .register_number = SP, .offset_bytes = 32},
        .fp = {.kind = CFI_RULE_AT_CFA, .offset_bytes = -32},
        .ra = {.kind = CFI_RULE_AT_CFA, .offset_bytes = -24},
    };
    struct cfi_row row = cfi_rules_to_row(CFI_MACHINE_AARCH64, &rules, false);
    assert_int_equal(row.kind, CFI_SP);
    assert_int_equal(row.fp, -4);
    rules.ra.offset_bytes = -16; /* not behind the fp */
    assert_int_equal(cfi_rules_to_row(CFI_MACHINE_AARCH64, &rules, false).kind, CFI_UNSUPPORTED);
    rules.fp.kind = CFI_RULE_SAME;
    row = cfi_rules_to_row(CFI_MACHINE_AARCH64, &rules, false);
    assert_int_equal(row.kind, CFI_SP | CFI_RA_AT_FP);
    assert_int_equal(row.fp, -2);
    rules.ra.kind = CFI_RULE_SAME;
    rules.is_ra_signed = true;
    row = cfi_rules_to_row(CFI_MACHINE_AARCH64, &rules, false);
    assert_int_equal(row.kind, CFI_SP | CFI_RA_LR | CFI_RA_SIGNED);
    assert_int_equal(row.fp, 0);
    rules.ra.kind = CFI_RULE_ODD;
    assert_int_equal(cfi_rules_to_row(CFI_MACHINE_AARCH64, &rules, false).kind, CFI_UNSUPPORTED);
    assert_int_equal(cfi_registers_of(CFI_MACHINE_AARCH64)->fp, X29);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cfa_offsets),
        cmocka_unit_test(test_where_the_frame_pointer_is_saved),
        cmocka_unit_test(test_what_counts_most),
        cmocka_unit_test(test_return_addresses_of_aarch64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
