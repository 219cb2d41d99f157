/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "symbols/inline_names.h"

static void test_equal_functions_are_one_symbol(void **state)
{
    (void)state;
    _cleanup_(inline_names_releasep) struct inline_names names;
    inline_names_init(&names, "prog", FRAME_KIND_USER);
    char mangled[] = "_ZN4shop4workEi";
    struct code_function one = {.name = mangled, .is_mangled = true, .declared_at = 3};
    struct code_function again = {.name = "_ZN4shop4workEi", .is_mangled = true, .declared_at = 9};
    const struct symbol *symbol = inline_names_symbol(&names, &one);
    assert_string_equal(symbol->name, "shop::work(int)");
    assert_string_equal(symbol->image, "prog");
    mangled[0] = 'x'; /* the unit's text may go */
    assert_ptr_equal(inline_names_symbol(&names, &again), symbol);
}

static void test_plain_names_are_told_apart_by_place(void **state)
{
    (void)state;
    _cleanup_(inline_names_releasep) struct inline_names names;
    inline_names_init(&names, "prog", FRAME_KIND_USER);
    struct code_function here = {.name = "add", .declared_in = "/a.h", .declared_at = 3};
    struct code_function there = {.name = "add", .declared_in = "/b.c", .declared_at = 3};
    struct code_function nameless = {.name = NULL};
    const struct symbol *symbol = inline_names_symbol(&names, &here);
    assert_string_equal(symbol->name, "add");
    assert_ptr_equal(inline_names_symbol(&names, &here), symbol);
    assert_ptr_not_equal(inline_names_symbol(&names, &there), symbol);
    assert_null(inline_names_symbol(&names, &nameless));
}

static void test_many_paths(void **state)
{
    (void)state;
    _cleanup_(inline_names_releasep) struct inline_names names;
    inline_names_init(&names, "prog", FRAME_KIND_USER);
    static const char *known[1000];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 1000; i++) {
            char path[32];
            snprintf(path, sizeof(path), "/src/%d.c", i);
            const char *kept = inline_names_path(&names, path);
            assert_string_equal(kept, path);
            assert_true(round == 0 || kept == known[i]);
            known[i] = kept;
        }
    }
    assert_null(inline_names_path(&names, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_functions_are_one_symbol),
        cmocka_unit_test(test_plain_names_are_told_apart_by_place),
        cmocka_unit_test(test_many_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
