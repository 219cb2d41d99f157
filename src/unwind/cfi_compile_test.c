/* SPDX-License-Identifier: MIT */
#include "unwind/cfi_compile.h"

#include <errno.h>
#include <stdlib.h>

#include "unwind/cfi_test.h"

/* One row besides the CIE's, so that functions can be told from each other. */
static void put_function(struct section *section, uint64_t start_addr, uint32_t n_code_bytes,
                         uint8_t cfa_bytes)
{
    const uint8_t program[] = {0x0e, cfa_bytes};
    put_fde(section, start_addr, n_code_bytes, program, sizeof(program));
}

static void test_order_and_gaps(void **state)
{
    (void)state;
    struct section section = {0};
    put_usual_cie(&section);
    put_function(&section, CODE_ADDR + 0x640, 0x20, 32);
    put_function(&section, CODE_ADDR + 0x210, 0x30, 16);
    put_function(&section, CODE_ADDR + 0x240, 0x10, 16); /* like its neighbour */
    put_function(&section, CODE_ADDR + 0x250, 0x10, 24);
    _cleanup_(cfi_table_freep) struct cfi_table *table =
        build_section(CFI_MACHINE_X86_64, &section);
    assert_string_equal(table_text(table), "0x10200 none\n"
                                           "0x10210 CFA=sp+16\n"
                                           "0x10250 CFA=sp+24\n"
                                           "0x10260 none\n"
                                           "0x10640 CFA=sp+32\n"
                                           "0x10660 none\n");
    assert_int_equal(table->base_addr, 0x10200);
    assert_int_equal(table->end_addr, 0x10660);
    assert_int_equal(table->n_functions, 4);
    assert_int_equal(table->n_refused, 0);
    assert_int_equal(table->n_pages, 5);
    static const uint32_t pages[] = {0, 3, 3, 3, 3, 5};
    assert_memory_equal(table->pages, pages, sizeof(pages));
}

static void test_overlaps(void **state)
{
    (void)state;
    struct section section = {0};
    put_usual_cie(&section);
    put_function(&section, CODE_ADDR, 0x100, 16);
    put_function(&section, CODE_ADDR + 0x40, 0x20, 24); /* inside of the first one */
    put_function(&section, CODE_ADDR + 0x40, 0x80, 32); /* its start is taken */
    put_function(&section, CODE_ADDR + 0x40, 0x10, 40);
    put_function(&section, CODE_ADDR + 0x50, 0x10, 48);
    put_function(&section, CODE_ADDR, 0, 56); /* no code at all */
    _cleanup_(cfi_table_freep) struct cfi_table *table =
        build_section(CFI_MACHINE_X86_64, &section);
    assert_string_equal(table_text(table), "0x10000 CFA=sp+16\n"
                                           "0x10040 CFA=sp+24\n"
                                           "0x10050 CFA=sp+48\n"
                                           "0x10060 none\n");
}

/* A function's rows do not reach into what another one describes. */
static void test_rows_end_where_the_next_function_starts(void **state)
{
    (void)state;
    struct section section = {0};
    static const uint8_t program[] = {0x50, 0x0e, 16, 0x60, 0x0e, 24, 0x50, 0x0e, 32};
    put_usual_cie(&section);
    put_fde(&section, CODE_ADDR, 0x100, program, sizeof(program));
    put_function(&section, CODE_ADDR + 0x20, 0x10, 64);
    _cleanup_(cfi_table_freep) struct cfi_table *table =
        build_section(CFI_MACHINE_X86_64, &section);
    assert_string_equal(table_text(table), "0x10000 CFA=sp+8\n"
                                           "0x10010 CFA=sp+16\n"
                                           "0x10020 CFA=sp+64\n"
                                           "0x10030 none\n");
}

static int compile_ranges(const struct section *section, const struct cfi_code_range *ranges,
                          size_t n_ranges, struct cfi_table **ret_table)
{
    struct cfi_compile_input input = {
        .machine = CFI_MACHINE_X86_64,
        .sections = {{.machine = CFI_MACHINE_X86_64,
                      .bytes = bytes_of(section->data, section->n_bytes),
                      .addr = SECTION_ADDR}},
        .n_sections = 1,
        .ranges = ranges,
        .n_ranges = n_ranges,
        .n_input_bytes = section->n_bytes,
        .origin = "test",
    };
    struct error error = {0};
    int r = cfi_compile(&input, ret_table, &error);
    assert_true(r == 0 || error_is_set(&error));
    return r;
}

static void test_code_that_is_not_there(void **state)
{
    (void)state;
    static const struct cfi_code_range ranges[] = {
        {.start_addr = CODE_ADDR, .end_addr = CODE_ADDR + 0x100},
        {.start_addr = CODE_ADDR + 0x1000, .end_addr = CODE_ADDR + 0x1100},
    };
    struct section section = {0};
    put_usual_cie(&section);
    put_function(&section, 0, 0x100, 16); /* what a linker leaves of code that it dropped */
    put_function(&section, CODE_ADDR + 0xf0, 0x80000000, 24);
    put_function(&section, CODE_ADDR + 0x100, 0x10, 32);
    put_function(&section, CODE_ADDR + 0x1000, 0x10, 40);
    _cleanup_(cfi_table_freep) struct cfi_table *table = NULL;
    assert_int_equal(compile_ranges(&section, ranges, 2, &table), 0);
    assert_string_equal(table_text(table), "0x10000 none\n"
                                           "0x100f0 CFA=sp+24\n"
                                           "0x10100 none\n"
                                           "0x11000 CFA=sp+40\n"
                                           "0x11010 none\n");
    assert_int_equal(table->n_refused, 2);
    struct cfi_table *none = NULL;
    assert_int_equal(compile_ranges(&section, ranges, 0, &none), -ENODATA);
    assert_null(none);
}

/* 40 bytes that claim 2 GiB of code would cost 32 MiB of index. */
static void test_sparse_code_is_refused(void **state)
{
    (void)state;
    struct section section = {0};
    put_usual_cie(&section);
    put_function(&section, CODE_ADDR, 0x7fffffff, 16);
    struct cfi_table *table = NULL;
    assert_int_equal(compile_ranges(&section, NULL, 0, &table), -EFBIG);
    assert_null(table);
}

static void test_code_far_away(void **state)
{
    (void)state;
    struct section section = {0};
    /* Addresses of 8 bytes. */
    section.cie = 0;
    begin_entry(&section);
    put_u32(&section, 0);
    put_bytes(&section, "\1zR\0\1\x78\x10\1\0\x0c\7\x8\x90\1", 14);
    end_entry(&section);
    static const uint64_t starts[] = {CODE_ADDR, CODE_ADDR + (UINT64_C(1) << 32), UINT64_MAX - 7};
    for (size_t i = 0; i < 3; i++) {
        begin_entry(&section);
        put_u32(&section, (uint32_t)section.n_bytes);
        put_u64(&section, starts[i]);
        put_u64(&section, i == 0 ? 16 : UINT64_MAX);
        put_u8(&section, 0);
        end_entry(&section);
    }
    _cleanup_(cfi_table_freep) struct cfi_table *table =
        build_section(CFI_MACHINE_X86_64, &section);
    assert_string_equal(table_text(table), "0x10000 CFA=sp+8\n"
                                           "0x10010 none\n");
    assert_int_equal(table->n_refused, 2);
}

static void test_descriptions_without_sense(void **state)
{
    (void)state;
    struct section section = {0};
    put_usual_cie(&section);
    put_function(&section, CODE_ADDR, 0x10, 16);
    /* Points into the middle of the CIE; at itself; behind the end. */
    static const uint32_t distances[] = {3, 0, UINT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        begin_entry(&section);
        put_u32(&section, distances[i] ? (uint32_t)section.n_bytes - distances[i] : 4);
        put_bytes(&section, "\0\0\0\0\0\0\0\0\0", 9);
        end_entry(&section);
    }
    put_function(&section, CODE_ADDR + 0x10, 0x10, 24);
    put_cie(&section, "zQ", CFI_MACHINE_X86_64, "", 0);
    put_function(&section, CODE_ADDR + 0x20, 0x10, 32);
    /* A CIE whose program is wrong: what it describes is known to be there, but not how. */
    put_cie(&section, "zR", CFI_MACHINE_X86_64, "\x3f", 1);
    put_function(&section, CODE_ADDR + 0x30, 0x10, 40);
    /* Another register for return addresses. */
    put_cie(&section, "zR", CFI_MACHINE_AARCH64, "\x0c\7\x8", 3);
    put_function(&section, CODE_ADDR + 0x40, 0x10, 48);
    put_u32(&section, 1000); /* cut off */
    _cleanup_(cfi_table_freep) struct cfi_table *table =
        build_section(CFI_MACHINE_X86_64, &section);
    assert_string_equal(table_text(table), "0x10000 CFA=sp+16\n"
                                           "0x10010 CFA=sp+24\n"
                                           "0x10020 none\n"
                                           "0x10030 unsupported\n"
                                           "0x10050 none\n");
    assert_int_equal(table->n_refused, 3 + 2 + 1 + 1);
    assert_int_equal(table->n_unsupported, 1);
}

static void test_nothing_to_read(void **state)
{
    (void)state;
    struct section section = {0};
    struct cfi_table *table = NULL;
    assert_int_equal(compile_ranges(&section, NULL, 0, &table), -ENODATA);
    put_u32(&section, 0);
    assert_int_equal(compile_ranges(&section, NULL, 0, &table), -ENODATA);
    section.n_bytes = 0;
    put_usual_cie(&section);
    assert_int_equal(compile_ranges(&section, NULL, 0, &table), -ENODATA);
    put_function(&section, CODE_ADDR, 0, 16);
    assert_int_equal(compile_ranges(&section, NULL, 0, &table), -ENODATA);
    assert_null(table);
}

/* Of two sections, the first one is believed, and the second one fills what it leaves. */
static void test_two_sections(void **state)
{
    (void)state;
    struct section first = {0};
    struct section second = {0};
    put_usual_cie(&first);
    put_function(&first, CODE_ADDR, 0x10, 16);
    put_cie(&second, "zR", CFI_MACHINE_X86_64, "\x0c\7\x8\x90\1\0\0\0", 8);
    put_function(&second, CODE_ADDR + 0x20, 0x10, 24);
    put_function(&second, CODE_ADDR, 0x10, 32);
    struct cfi_compile_input input = {.machine = CFI_MACHINE_X86_64,
                                      .n_sections = 2,
                                      .n_input_bytes = first.n_bytes + second.n_bytes,
                                      .origin = "both"};
    input.sections[0] =
        (struct cfi_section){.bytes = bytes_of(first.data, first.n_bytes), .addr = SECTION_ADDR};
    input.sections[1] =
        (struct cfi_section){.bytes = bytes_of(second.data, second.n_bytes), .addr = SECTION_ADDR};
    _cleanup_(cfi_table_freep) struct cfi_table *table = NULL;
    assert_int_equal(cfi_compile(&input, &table, NULL), 0);
    assert_string_equal(table_text(table), "0x10000 CFA=sp+16\n"
                                           "0x10010 none\n"
                                           "0x10020 CFA=sp+24\n"
                                           "0x10030 none\n");
    assert_string_equal(table->origin, "both");
}

/* Functions in a random order, found by what their start says. */
static void test_many_functions_in_any_order(void **state)
{
    (void)state;
    enum { N = 500 };
    struct section section = {0};
    uint16_t order[N];
    put_usual_cie(&section);
    srand(7);
    for (size_t i = 0; i < N; i++) {
        size_t j = (size_t)rand() % (i + 1);
        order[i] = order[j];
        order[j] = (uint16_t)i;
    }
    for (size_t i = 0; i < N; i++) {
        uint64_t start = CODE_ADDR + UINT64_C(1000) * order[i];
        put_function(&section, start, 900, (uint8_t)(8 * (order[i] % 15)));
    }
    _cleanup_(cfi_table_freep) struct cfi_table *table =
        build_section(CFI_MACHINE_X86_64, &section);
    for (uint64_t offset = 0; offset < UINT64_C(1000) * N + 1000; offset += 50) {
        struct cfi_row row = cfi_table_find(table, CODE_ADDR + offset);
        if (offset >= UINT64_C(1000) * N || offset % 1000 >= 900) {
            assert_int_equal(row.kind, CFI_NONE);
        } else {
            assert_int_equal(row.kind, CFI_SP);
            assert_int_equal(row.cfa, offset / 1000 % 15);
        }
    }
    assert_int_equal(cfi_table_find(table, CODE_ADDR - 1).kind, CFI_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_gaps),
        cmocka_unit_test(test_overlaps),
        cmocka_unit_test(test_rows_end_where_the_next_function_starts),
        cmocka_unit_test(test_code_that_is_not_there),
        cmocka_unit_test(test_sparse_code_is_refused),
        cmocka_unit_test(test_code_far_away),
        cmocka_unit_test(test_descriptions_without_sense),
        cmocka_unit_test(test_nothing_to_read),
        cmocka_unit_test(test_two_sections),
        cmocka_unit_test(test_many_functions_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
