/* SPDX-License-Identifier: MIT */
#include "dwarf/own_dwarf_test.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "dwarf/dwarf_abi.h"

static void test_own_units(void **state)
{
    (void)state;
    _cleanup_(dwarf_file_freep) struct dwarf_file *file = own_dwarf();
    assert_true(file->units.n_units > 1);
    uint64_t end = 0;
    for (size_t i = 0; i < file->units.n_units; i++) {
        const struct dwarf_unit *unit = &file->units.units[i];
        assert_int_equal(unit->offset, end);
        end = unit->end_offset;
        assert_ptr_equal(dwarf_unit_list_find(&file->units, unit->offset), unit);
        assert_ptr_equal(dwarf_unit_list_find(&file->units, unit->end_offset - 1), unit);
    }
    assert_null(dwarf_unit_list_find(&file->units, end));

    uint32_t number = dwarf_file_find_unit(file, own_address((const void *)test_own_units));
    assert_int_not_equal(number, DWARF_UNIT_NONE);
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    const struct dwarf_unit *unit = &file->units.units[number];
    const char *name = dwarf_unit_string(&file->sources, unit, unit->name, &arena);
    assert_non_null(strstr(name, "dwarf_file_test.c"));
    assert_non_null(dwarf_unit_string(&file->sources, unit, unit->comp_dir, &arena));
    assert_int_equal(dwarf_file_find_unit(file, 0), DWARF_UNIT_NONE);
    assert_int_equal(dwarf_file_find_unit(file, UINT64_MAX), DWARF_UNIT_NONE);
}

static void test_what_is_no_debug_file(void **state)
{
    (void)state;
    struct dwarf_file *file = NULL;
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    assert_true(dwarf_file_open(fd, -1, "", NULL, 0, &file) < 0);
    assert_int_equal(close(fd), -1); /* it was taken */
    assert_int_equal(errno, EBADF);
}

static void test_cancelling(void **state)
{
    (void)state;
    atomic_bool is_cancelled = true;
    struct dwarf_file *file = NULL;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int r = dwarf_file_open(fd, -1, "", &is_cancelled, 0, &file);
    assert_true(r == -ECANCELED || r == -ENOENT);
}

/* When the time is up there are fewer units, and no span of one that is not there. */
static void test_a_deadline(void **state)
{
    (void)state;
    _cleanup_(dwarf_file_freep) struct dwarf_file *whole = own_dwarf();
    _cleanup_(dwarf_file_freep) struct dwarf_file *nothing = NULL;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_int_equal(dwarf_file_open(fd, -1, "", NULL, 1, &nothing), 0);
    assert_int_equal(nothing->units.n_units, 0);
    assert_int_equal(nothing->n_spans, 0);
    assert_false(dwarf_sections_is_cancelled(nothing->sources.sections)); /* it was to open it */
    for (uint64_t us = 1; us < 10000; us *= 3) {
        _cleanup_(dwarf_file_freep) struct dwarf_file *part = NULL;
        fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        assert_int_equal(dwarf_file_open(fd, -1, "", NULL, clock_now_ns() + us * 1000, &part), 0);
        assert_true(part->units.n_units <= whole->units.n_units);
        for (size_t i = 0; i < part->n_spans; i++) {
            assert_true(part->spans[i].unit < part->units.n_units);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_units),
        cmocka_unit_test(test_what_is_no_debug_file),
        cmocka_unit_test(test_cancelling),
        cmocka_unit_test(test_a_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
