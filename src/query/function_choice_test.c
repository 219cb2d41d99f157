/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "query/function_choice.h"

static const struct symbol symbols[] = {
    {.name = "parse_line", .image = "tool", .start_address = 0x1000, .size_bytes = 0x100},
    {.name = "Parse", .image = "tool", .start_address = 0x2000, .size_bytes = 0x80},
    {.name = "ns::parse(char const*)", .image = "lib.so", .start_address = 0x1080, .size_bytes = 9},
    {.name = "cmp", .image = "tool", .start_address = 0x3000, .size_bytes = 16},
    {.name = "cmp", .image = "tool", .start_address = 0x4000, .size_bytes = 16},
    {.name = "cmp", .image = "tool"},
    {.name = "lib.so+0x77", .image = "lib.so", .start_address = 0x77},
};

static const struct function_candidate candidates[] = {
    {&symbols[0], false, 10}, {&symbols[1], false, 40}, {&symbols[2], false, 30},
    {&symbols[3], false, 5},  {&symbols[4], false, 50}, {&symbols[5], true, 50},
    {&symbols[6], false, 1},
};
#define N_CANDIDATES (sizeof(candidates) / sizeof(candidates[0]))

struct asked {
    struct arena arena;
    struct function_choice choice;
    struct error error;
    int code;
};

static int setup(void **state)
{
    static struct asked asked;
    asked = (struct asked){0};
    arena_init(&asked.arena, 0);
    *state = &asked;
    return 0;
}

static int teardown(void **state)
{
    struct asked *asked = *state;
    arena_release(&asked->arena);
    return 0;
}

static const struct asked *ask(void **state, const char *wanted)
{
    struct asked *asked = *state;
    asked->choice = (struct function_choice){0};
    asked->error = (struct error){.code = ""};
    asked->code = function_choice_make(wanted, candidates, N_CANDIDATES, &asked->arena,
                                       &asked->choice, &asked->error);
    return asked;
}

static void an_exact_name_is_taken_without_a_word(void **state)
{
    const struct asked *asked = ask(state, "Parse");
    assert_int_equal(asked->code, 0);
    assert_int_equal(asked->choice.index, 1);
    assert_null(asked->choice.note);
    asked = ask(state, "parse_line"); /* although another one is hotter and holds part of it */
    assert_int_equal(asked->choice.index, 0);
    assert_null(asked->choice.note);
}

/* The place lib.so+0x7 is another than lib.so+0x77. */
static void a_number_is_not_cut(void **state)
{
    assert_int_equal(ask(state, "lib.so+0x7")->code, -ENOENT);
    assert_int_equal(ask(state, "so+0x7")->code, -ENOENT);
    assert_int_equal(function_choice_fit("lib.so+0x7", &candidates[6]), 0);
    const struct asked *asked = ask(state, "lib.so+0x77");
    assert_int_equal(asked->code, 0);
    assert_int_equal(asked->choice.index, 6);
    asked = ask(state, "SO+0x77");
    assert_int_equal(asked->code, 0);
    assert_int_equal(asked->choice.index, 6);
    assert_int_equal(ask(state, "lib.so+0x")->code, 0); /* any of them */
}

static void case_and_parameters_may_be_left_out(void **state)
{
    const struct asked *asked = ask(state, "PARSE");
    assert_int_equal(asked->choice.index, 1);
    assert_string_equal(asked->choice.note, "PARSE is taken as Parse (tool)");
    asked = ask(state, "NS::parse");
    assert_int_equal(asked->choice.index, 2);
    assert_string_equal(asked->choice.note,
                        "NS::parse is taken as ns::parse(char const*) (lib.so)");
}

static void part_of_a_name_means_the_hottest(void **state)
{
    const struct asked *asked = ask(state, "ARS");
    assert_int_equal(asked->choice.index, 1);
    assert_string_equal(asked->choice.note,
                        "ARS is taken as Parse (tool), the hottest of 3 that fit; others: "
                        "ns::parse(char const*) (lib.so), parse_line (tool)");
}

static void functions_of_one_name_are_told_apart_by_address(void **state)
{
    const struct asked *asked = ask(state, "cmp");
    assert_int_equal(asked->choice.index, 4);
    assert_string_equal(asked->choice.note,
                        "cmp is taken as cmp at 0x4000 (tool), the hottest of 3 that fit; others: "
                        "cmp (tool) (inlined), cmp at 0x3000 (tool)");
    asked = ask(state, "0x3000");
    assert_int_equal(asked->choice.index, 3);
    assert_string_equal(asked->choice.note, "0x3000 is taken as cmp at 0x3000 (tool)");
}

static void an_address_lies_in_a_function(void **state)
{
    const struct asked *asked = ask(state, "0x1084"); /* of two images: the hotter one's */
    assert_int_equal(asked->choice.index, 2);
    assert_non_null(strstr(asked->choice.note, "others: parse_line at 0x1000 (tool)"));
    asked = ask(state, "0x10ff");
    assert_int_equal(asked->choice.index, 0);
    asked = ask(state, "0x77"); /* a place without a name is one byte long */
    assert_int_equal(asked->choice.index, 6);
    assert_int_equal(ask(state, "0x78")->code, -ENOENT);
    assert_int_equal(ask(state, "0x0")->code, -ENOENT); /* inlined ones have none */
}

static void what_fits_nothing_is_answered_with_the_hottest(void **state)
{
    const struct asked *asked = ask(state, "sort_all");
    assert_int_equal(asked->code, -ENOENT);
    assert_string_equal(asked->error.code, "no_such_function");
    assert_non_null(strstr(asked->error.message, "'sort_all'"));
    assert_string_equal(
        asked->error.hint,
        "the hottest ones: cmp, Parse, ns::parse(char const*), parse_line, lib.so+0x77");
    assert_int_equal(ask(state, "")->code, -ENOENT);
    struct asked *none = *state;
    assert_int_equal(function_choice_make("x", NULL, 0, &none->arena, &none->choice, &none->error),
                     -ENOENT);
    assert_non_null(strstr(none->error.hint, "stax top"));
}

static void long_names_are_cut_between_characters(void **state)
{
    struct asked *asked = *state;
    char name[400];
    memset(name, 'x', sizeof(name));
    memcpy(name + 59, "ä", 2);
    name[sizeof(name) - 1] = '\0';
    const struct symbol symbol = {.name = name, .image = "i"};
    const struct function_candidate candidate = {.symbol = &symbol};
    assert_int_equal(
        function_choice_make("y", &candidate, 1, &asked->arena, &asked->choice, &asked->error),
        -ENOENT);
    char expected[100] = "the hottest ones: ";
    memset(expected + strlen(expected), 'x', 59);
    memcpy(expected + strlen(expected), "…", sizeof("…"));
    assert_string_equal(asked->error.hint, expected);
}

static void addresses_are_told_from_names(void **state)
{
    (void)state;
    uint64_t address = 0;
    assert_true(function_choice_is_address("0x1F", &address));
    assert_int_equal(address, 0x1f);
    assert_true(function_choice_is_address("0XfFfFfFfFfFfFfFfF", &address));
    assert_true(address == UINT64_MAX);
    assert_false(function_choice_is_address("0x", &address));
    assert_false(function_choice_is_address("0x-1", &address));
    assert_false(function_choice_is_address("0x12g", &address));
    assert_false(function_choice_is_address("0x10000000000000000", &address));
    assert_false(function_choice_is_address("12", &address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_exact_name_is_taken_without_a_word, setup, teardown),
        cmocka_unit_test_setup_teardown(a_number_is_not_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(case_and_parameters_may_be_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(part_of_a_name_means_the_hottest, setup, teardown),
        cmocka_unit_test_setup_teardown(functions_of_one_name_are_told_apart_by_address, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_address_lies_in_a_function, setup, teardown),
        cmocka_unit_test_setup_teardown(what_fits_nothing_is_answered_with_the_hottest, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(long_names_are_cut_between_characters, setup, teardown),
        cmocka_unit_test(addresses_are_told_from_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
