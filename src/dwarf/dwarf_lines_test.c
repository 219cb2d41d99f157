/* SPDX-License-Identifier: MIT */
#include "dwarf/own_dwarf_test.h"

#include "dwarf/dwarf_abi.h"
#include "dwarf/dwarf_lines.h"

static int first_line; /* of the function below */

__attribute__((noinline)) static int where_am_i(int x)
{
    first_line = __LINE__ - 2;
    return x + first_line;
}

static const struct dwarf_line_row *find_row(const struct dwarf_line_rows *rows, uint64_t address)
{
    const struct dwarf_line_row *found = NULL;
    for (size_t i = 0; i < rows->n_rows && rows->rows[i].start_addr <= address; i++) {
        found = &rows->rows[i];
    }
    return found;
}

static void test_own_lines(void **state)
{
    (void)state;
    assert_int_not_equal(where_am_i(1), 0);
    _cleanup_(dwarf_file_freep) struct dwarf_file *file = own_dwarf();
    uint64_t address = own_address((const void *)where_am_i);
    uint32_t number = dwarf_file_find_unit(file, address);
    assert_int_not_equal(number, DWARF_UNIT_NONE);
    const struct dwarf_unit *unit = &file->units.units[number];

    _cleanup_(dwarf_line_program_releasep) struct dwarf_line_program program = {0};
    _cleanup_(dwarf_line_rows_releasep) struct dwarf_line_rows rows = {0};
    assert_int_equal(dwarf_line_program_open(&file->sources, unit, &program), 0);
    assert_int_equal(dwarf_line_program_run(&program, &file->sources, &rows), 0);
    assert_true(rows.n_rows > 10);
    for (size_t i = 1; i < rows.n_rows; i++) {
        assert_true(rows.rows[i - 1].start_addr < rows.rows[i].start_addr);
    }
    assert_int_equal(rows.rows[rows.n_rows - 1].file, DWARF_LINE_NO_FILE);

    const struct dwarf_line_row *row = find_row(&rows, address);
    assert_in_range(row->line, first_line, first_line + 2);
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    const char *path = dwarf_line_program_path(&program, &file->sources, unit, row->file,
                                               "/where/it/was/built", &arena);
    assert_int_equal(path[0], '/');
    assert_non_null(strstr(path, "dwarf_lines_test.c"));
    assert_null(dwarf_line_program_path(&program, &file->sources, unit, UINT64_MAX, NULL, &arena));
    assert_null(dwarf_line_program_path(&program, &file->sources, unit,
                                        dwarf_line_program_n_files(&program), NULL, &arena));
}

/* A program of three sequences that set their address and make rows with special opcodes. */
static void run_sequences(const struct dwarf_file *file, const uint64_t *starts,
                          struct dwarf_line_rows *ret_rows)
{
    uint8_t code[256];
    size_t n_bytes = 0;
    for (unsigned sequence = 0; sequence < 3; sequence++) {
        code[n_bytes++] = 0;
        code[n_bytes++] = 9;
        code[n_bytes++] = DW_LNE_set_address;
        memcpy(code + n_bytes, &starts[sequence], 8);
        n_bytes += 8;
        code[n_bytes++] = DW_LNS_advance_line;
        code[n_bytes++] = (uint8_t)(3 + 10 * sequence);
        for (int row = 0; row < 4; row++) {
            code[n_bytes++] = 13 + 14 * 2 + 5 + 1; /* two bytes and a line further */
        }
        static const uint8_t end[] = {DW_LNS_advance_pc, 2, 0, 1, DW_LNE_end_sequence};
        memcpy(code + n_bytes, end, sizeof(end));
        n_bytes += sizeof(end);
    }
    struct dwarf_line_program program = {
        .encoding = {.version = 4, .address_bytes = 8, .offset_bytes = 4},
        .instructions = bytes_of(code, n_bytes),
        .minimum_step = 1,
        .line_range = 14,
        .line_base = -5,
        .first_special = 13,
    };
    *ret_rows = (struct dwarf_line_rows){0};
    assert_int_equal(dwarf_line_program_run(&program, &file->sources, ret_rows), 0);
    for (size_t i = 1; i < ret_rows->n_rows; i++) {
        assert_true(ret_rows->rows[i - 1].start_addr < ret_rows->rows[i].start_addr);
    }
}

static uint32_t line_at(const struct dwarf_line_rows *rows, uint64_t address)
{
    const struct dwarf_line_row *row = find_row(rows, address);
    return row && row->file != DWARF_LINE_NO_FILE ? row->line : 0;
}

/* Sequences come in any order; some linkers leave ones that overlap. */
static void test_sequences(void **state)
{
    (void)state;
    _cleanup_(dwarf_file_freep) struct dwarf_file *file = own_dwarf();
    uint64_t base = own_address((const void *)where_am_i);
    struct dwarf_line_rows rows;
    /* The third ends where the first begins, of which nothing may be lost. */
    run_sequences(file, (const uint64_t[]){base + 8, base + 40, base}, &rows);
    assert_int_equal(rows.n_rows, 4 + 4 + 4 + 2);
    assert_int_equal(line_at(&rows, base + 1), 0);
    assert_int_equal(line_at(&rows, base + 2), 25);
    assert_int_equal(line_at(&rows, base + 9), 28);
    assert_int_equal(line_at(&rows, base + 10), 5);
    assert_int_equal(line_at(&rows, base + 17), 8);
    assert_int_equal(line_at(&rows, base + 18), 0);
    assert_int_equal(line_at(&rows, base + 42), 15);
    assert_int_equal(line_at(&rows, base + 49), 18);
    assert_int_equal(line_at(&rows, base + 50), 0);
    dwarf_line_rows_release(&rows);

    /* Rows at odd and at even addresses. */
    run_sequences(file, (const uint64_t[]){base + 40, base + 1, base}, &rows);
    assert_int_equal(line_at(&rows, base + 2), 25);
    assert_int_equal(line_at(&rows, base + 3), 15);
    assert_int_equal(line_at(&rows, base + 4), 26);
    assert_int_equal(line_at(&rows, base + 9), 18);
    assert_int_equal(line_at(&rows, base + 42), 5);
    dwarf_line_rows_release(&rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_lines),
        cmocka_unit_test(test_sequences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
