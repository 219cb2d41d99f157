/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "dwarf/dwarf_budget.h"

static void test_taking_and_giving(void **state)
{
    (void)state;
    struct dwarf_budget budget = {.max_bytes = 100};
    assert_true(dwarf_budget_take(&budget, 60));
    assert_true(dwarf_budget_has_room(&budget, 40));
    assert_int_equal(dwarf_budget_n_refusals(&budget), 0);
    assert_false(dwarf_budget_has_room(&budget, 41));
    assert_false(dwarf_budget_take(&budget, 41));
    assert_false(dwarf_budget_take(&budget, UINT64_MAX));
    assert_int_equal(dwarf_budget_n_refusals(&budget), 3);
    assert_true(dwarf_budget_take(&budget, 40));
    assert_false(dwarf_budget_take(&budget, 1));
    dwarf_budget_give(&budget, 100);
    assert_true(dwarf_budget_take(&budget, 100));
}

static void test_memory(void **state)
{
    (void)state;
    struct dwarf_budget budget = {.max_bytes = UINT64_C(40) << 20};
    uint8_t *data = NULL;
    assert_int_equal(dwarf_budget_resize(&budget, 0, 1000, &data), 0);
    data[0] = 1;
    data[999] = 2;
    uint64_t n_large_bytes = UINT64_C(20) << 20;
    assert_int_equal(dwarf_budget_resize(&budget, 1000, n_large_bytes, &data), 0);
    assert_int_equal(data[0] + data[999], 3);
    data[n_large_bytes - 1] = 4;
    assert_int_equal(dwarf_budget_resize(&budget, n_large_bytes, UINT64_C(1) << 40, &data), -EFBIG);
    assert_int_equal(data[n_large_bytes - 1], 4);
    uint8_t *other = NULL;
    assert_int_equal(dwarf_budget_resize(&budget, 0, n_large_bytes + 1, &other), -EFBIG);
    assert_null(other);
    assert_int_equal(dwarf_budget_resize(&budget, 0, n_large_bytes, &other), 0);
    assert_int_equal(dwarf_budget_resize(&budget, n_large_bytes, 10, &other), 0);
    dwarf_budget_free(&budget, data, n_large_bytes);
    dwarf_budget_free(&budget, other, 10);
    assert_true(dwarf_budget_has_room(&budget, budget.max_bytes));
}

static void test_that_of_the_process(void **state)
{
    (void)state;
    const struct dwarf_budget *budget = dwarf_budget_of_process();
    uint64_t memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    assert_ptr_equal(budget, dwarf_budget_of_process());
    assert_true(budget->max_bytes > 0 && budget->max_bytes <= DWARF_BUDGET_MAX_BYTES);
    assert_true(budget->max_bytes <= memory_bytes / DWARF_BUDGET_MEMORY_SHARE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taking_and_giving),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_that_of_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
