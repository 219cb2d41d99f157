/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "compare/lane_figures.h"

/* Two processes with a pool each, and a GPU that only the first run has. */
static struct lane_totals first_lanes[] = {
    {.pid = 1, .name = "pool", .kind = LANE_KIND_EXECUTOR, .n_spans = 3, .total_ns = 300},
    {.pid = 2, .name = "pool", .kind = LANE_KIND_EXECUTOR, .n_spans = 1, .total_ns = 100},
    {.pid = 1, .name = "GPU", .kind = LANE_KIND_GPU, .n_spans = 9, .total_ns = 5000},
};
static struct lane_totals second_lanes[] = {
    {.pid = 7, .name = "pool", .kind = LANE_KIND_EXECUTOR, .n_spans = 8, .total_ns = 200},
    {.pid = 7, .name = "pool", .kind = LANE_KIND_IO, .n_spans = 2, .total_ns = 600},
};

static void lanes_are_matched_by_name_and_kind(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    struct snapshot first = {.n_lanes = 3, .lanes = first_lanes};
    struct snapshot second = {.n_lanes = 2, .lanes = second_lanes}, none = {0};
    const struct query_context base_runs[] = {{.snapshot = &first, .arena = &arena}};
    const struct query_context candidate_runs[] = {{.snapshot = &second, .arena = &arena},
                                                   {.snapshot = &none, .arena = &arena}};
    const struct compare_runs base = {.n_runs = 1, .runs = base_runs};
    const struct compare_runs candidate = {.n_runs = 2, .runs = candidate_runs};
    struct compare_result result = {0};
    assert_int_equal(lane_figures_compare(&base, &candidate, &result), 0);
    assert_int_equal(result.lanes, 3);
    assert_int_equal(result.n_lane_rows, 3);
    const struct compare_lane *rows = result.lane_rows;
    assert_string_equal(rows[0].name, "GPU");
    assert_true(rows[0].is_gone && !rows[0].is_new);
    assert_int_equal(rows[0].delta_ns, -5000);
    assert_string_equal(rows[1].name, "pool");
    assert_int_equal(rows[1].kind, LANE_KIND_EXECUTOR);
    assert_int_equal(rows[1].base_ns, 400);
    assert_int_equal(rows[1].base_spans, 4);
    assert_int_equal(rows[1].candidate_ns, 100); /* of two runs */
    assert_int_equal(rows[1].candidate_spans, 4);
    assert_true(!rows[1].is_new && !rows[1].is_gone);
    assert_int_equal(rows[2].kind, LANE_KIND_IO);
    assert_true(rows[2].is_new);
    assert_int_equal(rows[2].candidate_ns, 300);
    arena_release(&arena);
}

static void runs_without_lanes_have_none(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    struct snapshot none = {0};
    const struct query_context context = {.snapshot = &none, .arena = &arena};
    const struct compare_runs runs = {.n_runs = 1, .runs = &context};
    struct compare_result result = {0};
    assert_int_equal(lane_figures_compare(&runs, &runs, &result), 0);
    assert_int_equal(result.lanes + result.n_lane_rows, 0);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_are_matched_by_name_and_kind),
        cmocka_unit_test(runs_without_lanes_have_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
