/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "compare/gates.h"

#define MS UINT64_C(1000000)

struct bench {
    struct arena arena;
    struct compare_function rows[3];
    struct compare_result result;
    struct compare_gates gates;
};

static void begin(struct bench *bench)
{
    *bench = (struct bench){
        .rows =
            {
                {.name = "parse(char const*)",
                 .image = "prog",
                 .self = {.base_pct = 10,
                          .candidate_pct = 14,
                          .delta_pp = 4,
                          .is_tested = true,
                          .p_value = 0.001}},
                {.name = "parse_line",
                 .image = "prog",
                 .total = {.base_pct = 20,
                           .candidate_pct = 23,
                           .delta_pp = 3,
                           .is_tested = true,
                           .p_value = 0.001}},
                {.name = "print",
                 .image = "prog",
                 .self = {.base_pct = 1,
                          .candidate_pct = 9,
                          .delta_pp = 8,
                          .is_tested = true,
                          .p_value = 0.04}},
            },
        .result =
            {
                .base = {.active_ns = 1000 * MS, .off_cpu_ns = 500 * MS, .target_ns = 100 * MS},
                .candidate = {.active_ns = 1200 * MS,
                              .off_cpu_ns = 400 * MS,
                              .target_ns = 130 * MS,
                              .unlinked_origins = 5,
                              .bad_duration_drops = 1},
                .method = COMPARE_METHOD_BLOCKS,
                .significant = 2,
                .functions = 3,
                .n_rows = 3,
            },
    };
    bench->result.rows = bench->rows;
    arena_init(&bench->arena, 0);
}

static size_t check(struct bench *bench)
{
    bench->result.n_threshold_failures = 0;
    bench->result.hint = NULL;
    assert_int_equal(gates_check(&bench->gates, &bench->arena, &bench->result), 0);
    return bench->result.n_threshold_failures;
}

static void nothing_fails_without_limits(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench);
    assert_int_equal(check(&bench), 0);
    arena_release(&bench.arena);
}

static void figures_may_grow_up_to_their_limit(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench);
    bench.gates = (struct compare_gates){.has_active_delta_ns = true,
                                         .active_delta_ns = 200 * MS,
                                         .has_off_cpu_delta_ns = true,
                                         .has_unlinked_origins_delta = true,
                                         .unlinked_origins_delta = 5,
                                         .has_target_growth_pct = true,
                                         .target_growth_pct = 30};
    assert_int_equal(check(&bench), 0);
    bench.gates.active_delta_ns--;
    bench.gates.unlinked_origins_delta--;
    bench.gates.target_growth_pct = 29.5;
    bench.gates.has_bad_duration_drops_delta = true;
    assert_int_equal(check(&bench), 4);
    const struct compare_failure *failures = bench.result.threshold_failures;
    assert_string_equal(failures[0].gate, "fail-active-delta-ms");
    assert_string_equal(failures[0].message,
                        "active time grew by 200.000 ms, from 1000.000 to 1200.000 ms; "
                        "--fail-active-delta-ms allows 200.000 ms");
    assert_null(failures[0].function);
    assert_string_equal(failures[1].message,
                        "the number of unlinked origins grew by 5, from 0 to 5; "
                        "--fail-unlinked-origins-delta allows 4");
    assert_string_equal(failures[2].gate, "fail-bad-duration-drops-delta");
    assert_string_equal(failures[3].gate, "fail-target-delta-pct");
    arena_release(&bench.arena);
}

static void target_time_out_of_nothing_is_too_much(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench);
    bench.gates = (struct compare_gates){.has_target_growth_pct = true, .target_growth_pct = 1e9};
    assert_int_equal(check(&bench), 0);
    bench.result.base.target_ns = 0;
    assert_int_equal(check(&bench), 1);
    arena_release(&bench.arena);
}

static void functions_fail_where_growth_is_significant(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench);
    struct compare_function_gate gate = {.name = "parse", .growth_pp = 2};
    bench.gates = (struct compare_gates){.n_functions = 1, .functions = &gate};
    /* Up to its parameters that is the first one, and it alone. */
    assert_int_equal(check(&bench), 1);
    const struct compare_failure *failure = bench.result.threshold_failures;
    assert_string_equal(failure->gate, "fail-function");
    assert_string_equal(failure->function, "parse(char const*)");
    assert_string_equal(failure->message,
                        "the self share of parse(char const*) (prog) grew by 4.00 points, from "
                        "10.00 to 14.00 %; --fail-function 'parse:+2' allows 2");
    gate.growth_pp = 4;
    assert_int_equal(check(&bench), 0);
    gate = (struct compare_function_gate){.name = "parse_line", .growth_pp = 1};
    assert_int_equal(check(&bench), 1);
    assert_non_null(strstr(bench.result.threshold_failures[0].message, "the total share of"));
    bench.rows[2].self.p_value = 0.06;
    gate.name = "print"; /* grew, but by chance for all that is known */
    assert_int_equal(check(&bench), 0);
    assert_null(bench.result.hint);
    arena_release(&bench.arena);
}

/* A function that was named in advance is one question; two are two, of which chance may have one.
 */
static void limits_are_corrected_for_their_number(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench);
    struct compare_function_gate two[] = {{.name = "print", .growth_pp = 2},
                                          {.name = "parse_line", .growth_pp = 5}};
    bench.gates = (struct compare_gates){.n_functions = 1, .functions = two};
    assert_int_equal(check(&bench), 1);
    assert_false(bench.rows[2].self.is_significant); /* of all functions it is none */
    bench.rows[1].total.p_value = 0.5;
    bench.gates.n_functions = 2;
    assert_int_equal(check(&bench), 0);
    arena_release(&bench.arena);
}

static void what_could_not_be_tested_does_not_pass(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench);
    struct compare_function_gate two[] = {{.name = "gone", .growth_pp = 2},
                                          {.name = "lost", .growth_pp = 2}};
    bench.gates = (struct compare_gates){.n_functions = 2, .functions = two};
    assert_int_equal(check(&bench), 2);
    assert_string_equal(bench.result.threshold_failures[0].message,
                        "--fail-function 'gone:+2' could not be tested: no function of either side "
                        "is called so");
    assert_non_null(strstr(bench.result.threshold_failures[1].message, "'lost:+2'"));
    /* Too few samples in one function … */
    struct compare_function_gate gate = {.name = "print", .growth_pp = 7};
    bench.gates = (struct compare_gates){.n_functions = 1, .functions = &gate};
    bench.rows[2].self.is_tested = false;
    assert_int_equal(check(&bench), 1);
    assert_string_equal(bench.result.threshold_failures[0].message,
                        "--fail-function 'print:+7' could not be tested: there are too few samples "
                        "in or outside of print");
    assert_string_equal(bench.result.threshold_failures[0].function, "print");
    gate.growth_pp = 8; /* … which did not grow by that much for all that is seen */
    assert_int_equal(check(&bench), 0);
    /* … or in all of them. */
    bench.result.method = COMPARE_METHOD_NONE;
    assert_int_equal(check(&bench), 1);
    assert_string_equal(
        bench.result.threshold_failures[0].message,
        "--fail-function 'print:+8' could not be tested: there are too few samples to tell");
    arena_release(&bench.arena);
}

static void parts_of_names_are_told(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench);
    struct compare_function_gate two[] = {{.name = "rin", .growth_pp = 2},
                                          {.name = "arse_l", .growth_pp = 2}};
    bench.rows[2].self.p_value = 0.06;
    bench.gates = (struct compare_gates){.n_functions = 2, .functions = two};
    assert_int_equal(check(&bench), 1);
    assert_string_equal(bench.result.threshold_failures[0].function, "parse_line");
    assert_string_equal(bench.result.hint,
                        "no function is called rin: its limit was held against those with that in "
                        "their name: print (prog); no function is called arse_l: its limit was "
                        "held against those with that in their name: parse_line (prog)");
    arena_release(&bench.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_fails_without_limits),
        cmocka_unit_test(figures_may_grow_up_to_their_limit),
        cmocka_unit_test(target_time_out_of_nothing_is_too_much),
        cmocka_unit_test(functions_fail_where_growth_is_significant),
        cmocka_unit_test(limits_are_corrected_for_their_number),
        cmocka_unit_test(what_could_not_be_tested_does_not_pass),
        cmocka_unit_test(parts_of_names_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
