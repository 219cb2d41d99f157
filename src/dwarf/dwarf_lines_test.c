/* SPDX-License-Identifier: MIT */
#include "dwarf/own_dwarf_test.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
