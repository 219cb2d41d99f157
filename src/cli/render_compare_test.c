/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/render.h"

static const struct terminal no_terminal = {.width = SIZE_MAX};
static run_id first[] = {1, 2};
static run_id second[] = {3};

static struct compare_function rows[] = {
    {
        .name = "parse|`line`",
        .image = "tool",
        .self = {.base_pct = 10,
                 .candidate_pct = 15.25,
                 .delta_pp = 5.25,
                 .low_pp = 4.25,
                 .high_pp = 6.25,
                 .is_tested = true,
                 .p_value = 1e-9,
                 .adjusted_p = 1e-7,
                 .is_significant = true},
        .total = {.base_pct = 20,
                  .candidate_pct = 20.5,
                  .delta_pp = 0.5,
                  .low_pp = -0.5,
                  .high_pp = 1.5,
                  .is_tested = true},
    },
    {
        .name = "memcpy",
        .image = "libc.so.6",
        .is_new = true,
        .self = {.candidate_pct = 0.04, .delta_pp = 0.04},
        .total = {.candidate_pct = 0.04, .delta_pp = 0.04},
    },
};

static struct compare_result sample_result(void)
{
    return (struct compare_result){
        .base = {.n_runs = 2,
                 .runs = first,
                 .command = "./tool a",
                 .duration_ns = 2000000000,
                 .samples = 1800,
                 .active_ns = 2000000000,
                 .off_cpu_ns = 500000000,
                 .off_cpu_by_reason_ns = {.lock_ns = 500000000},
                 .threads = 4},
        .candidate = {.n_runs = 1,
                      .runs = second,
                      .command = "./tool b",
                      .duration_ns = 2100000000,
                      .samples = 1800,
                      .active_ns = 2300000000,
                      .off_cpu_ns = 400000000,
                      .off_cpu_by_reason_ns = {.lock_ns = 400000000},
                      .lost = 7,
                      .threads = 4},
        .method = COMPARE_METHOD_BLOCKS,
        .tested = 3,
        .significant = 1,
        .functions = 12,
        .n_rows = 2,
        .rows = rows,
    };
}

static void assert_text(const struct text *text, const char *expected)
{
    assert_false(text->is_cut);
    assert_string_equal(text->data, expected);
}

static void figures_and_functions_are_tables(void **state)
{
    (void)state;
    const struct compare_result result = sample_result();
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 1 << 16);
    render_compare(&result, &no_terminal, &text);
    assert_text(
        &text,
        "base       runs 1, 2 (2.00 s): ./tool a\n"
        "candidate  run 3 (2.10 s): ./tool b\n"
        "\n"
        "  base  candidate         difference  \n"
        "2.00 s     2.30 s  +300 ms (+15.0 %)  active\n"
        "500 ms     400 ms  -100 ms (-20.0 %)  off-CPU\n"
        "500 ms     400 ms  -100 ms (-20.0 %)  off-CPU: lock\n"
        "  1800       1800                  0  samples\n"
        "     4          4                  0  threads\n"
        "     0          7                 +7  lost events\n"
        "\n"
        "1 function differs significantly (3 differences tested, by blocks of time within the "
        "runs); 12 functions (2 shown; -n 0: all)\n"
        "self %    was     difference  total %    was     difference  function (image)\n"
        " 15.25  10.00  +5.25 ±1.00 *    20.50  20.00  +0.50 ±1.00    parse|`line` (tool)\n"
        "  0.04   0.00        +0.04       0.04   0.00        +0.04    memcpy (libc.so.6) new\n"
        "differences are percentage points, ± their 95 % confidence interval; * is "
        "significant\n");
}

static void markdown_has_what_is_significant(void **state)
{
    (void)state;
    struct compare_failure failure = {.gate = "fail-active-delta-ms",
                                      .message = "active time grew by 300.000 ms"};
    struct compare_result result = sample_result();
    result.n_threshold_failures = 1;
    result.threshold_failures = &failure;
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 1 << 16);
    render_compare_markdown(&result, &text);
    assert_text(
        &text,
        "### Profile: run 3 against runs 1, 2\n"
        "\n"
        "**1 function differs significantly (3 differences tested, by blocks of time within the "
        "runs)**\n"
        "\n"
        "| | base | candidate | difference |\n"
        "|---|---:|---:|---:|\n"
        "| active | 2.00 s | 2.30 s | +300 ms (+15.0 %) |\n"
        "| off-CPU | 500 ms | 400 ms | -100 ms (-20.0 %) |\n"
        "| off-CPU: lock | 500 ms | 400 ms | -100 ms (-20.0 %) |\n"
        "| samples | 1800 | 1800 | 0 |\n"
        "| threads | 4 | 4 | 0 |\n"
        "| lost events | 0 | 7 | +7 |\n"
        "\n"
        "| function | self % | now | difference | total % | now | difference |\n"
        "|---|---:|---:|---:|---:|---:|---:|\n"
        "| <code>parse&#124;&#96;line&#96;</code> | 10.00 | 15.25 | **+5.25 (+4.25 … +6.25)** | "
        "20.00 | 20.50 | +0.50 "
        "(-0.50 … +1.50) |\n"
        "\n"
        "Differences are percentage points with their 95 % confidence interval; significant ones "
        "are bold.\n"
        "\n"
        "**Limits that are not kept:**\n"
        "\n"
        "- `active time grew by 300.000 ms`\n");
}

static void lanes_are_a_table_of_their_own(void **state)
{
    (void)state;
    struct compare_lane lanes[] = {
        {.name = "GPU|0",
         .kind = LANE_KIND_GPU,
         .base_ns = 20000000,
         .base_spans = 4,
         .candidate_ns = 30000000,
         .candidate_spans = 6,
         .delta_ns = 10000000},
        {.name = "pool",
         .kind = LANE_KIND_EXECUTOR,
         .is_new = true,
         .candidate_ns = 1000,
         .candidate_spans = 1,
         .delta_ns = 1000},
    };
    struct compare_result result = sample_result();
    result.lanes = 3;
    result.n_lane_rows = 2;
    result.lane_rows = lanes;
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 1 << 16);
    render_compare(&result, &no_terminal, &text);
    assert_non_null(
        strstr(text.data, "\ntarget time of 3 lanes (2 shown; -n 0: all)\n"
                          "   base  candidate          difference  base spans  spans  lane (kind)\n"
                          "20.0 ms    30.0 ms  +10.0 ms (+50.0 %)           4      6  GPU|0 (gpu)\n"
                          "   0 ns    1.00 us            +1.00 us           0      1  pool "
                          "(executor) new\n\n"));
    text_clear(&text);
    render_compare_markdown(&result, &text);
    assert_non_null(strstr(text.data,
                           "\n| lane | base | candidate | difference | base spans | spans |\n"
                           "|---|---:|---:|---:|---:|---:|\n"
                           "| <code>GPU&#124;0</code> (gpu) | 20.0 ms | 30.0 ms | +10.0 ms "
                           "(+50.0 %) | 4 | 6 |\n"
                           "| `pool` (executor) new | 0 ns | 1.00 us | +1.00 us | 0 | 1 |\n"
                           "\n… and 1 more lanes\n"));
}

static void foreign_texts_are_no_markup(void **state)
{
    (void)state;
    static const struct {
        const char *name, *cell, *item;
    } cases[] = {
        {"operator*(a_b<int>&)", "`operator*(a_b<int>&)`", "`operator*(a_b<int>&)`"},
        {"a\\|b", "<code>a&#92;&#124;b</code>", "`a\\|b`"},
        {"main::{closure}|*", "<code>main&#58;&#58;&#123;closure&#125;&#124;&#42;</code>",
         "`main::{closure}|*`"},
        {"<`T` & U>", "<code>&#60;&#96;T&#96; &#38; U&#62;</code>",
         "<code>&#60;&#96;T&#96; &#38; U&#62;</code>"},
    };
    const char *before = rows[0].name;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct compare_failure failure = {.gate = "fail-function", .message = cases[i].name};
        struct compare_result result = sample_result();
        char line[200];
        rows[0].name = cases[i].name;
        result.n_threshold_failures = 1;
        result.threshold_failures = &failure;
        _cleanup_(text_releasep) struct text text;
        text_init(&text, 1 << 16);
        render_compare_markdown(&result, &text);
        snprintf(line, sizeof(line), "\n| %s | 10.00 |", cases[i].cell);
        assert_non_null(strstr(text.data, line));
        snprintf(line, sizeof(line), "\n- %s\n", cases[i].item);
        assert_non_null(strstr(text.data, line));
    }
    rows[0].name = before;
}

static void nothing_significant_is_said(void **state)
{
    (void)state;
    struct compare_result result = sample_result();
    rows[0].self.is_significant = false;
    result.significant = 0;
    result.method = COMPARE_METHOD_BETWEEN_RUNS;
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 1 << 16);
    render_compare_markdown(&result, &text);
    assert_non_null(strstr(text.data, "**no significant difference (3 differences tested, by how "
                                      "runs of one side differ)**\n"));
    assert_null(strstr(text.data, "| function |"));
    assert_null(strstr(text.data, "Limits"));
    text_clear(&text);
    result.method = COMPARE_METHOD_NONE;
    render_compare(&result, &no_terminal, &text);
    assert_non_null(strstr(text.data, "\ntoo few samples to compare functions"));
    rows[0].self.is_significant = true;
}

static void full_rings_and_queues_are_told_apart(void **state)
{
    (void)state;
    struct compare_result result = sample_result();
    result.base.target_ring_drops = 2;
    result.base.target_queue_drops = 2;
    result.candidate.server_queue_drops = 2;
    result.candidate.target_queue_drops = 2;
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 1 << 16);
    render_compare(&result, &no_terminal, &text);
    assert_non_null(strstr(text.data, "-2 (-100.0 %)  drops: target ring\n"));
    assert_non_null(strstr(text.data, "+2  drops: server queue\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_and_functions_are_tables),
        cmocka_unit_test(full_rings_and_queues_are_told_apart),
        cmocka_unit_test(markdown_has_what_is_significant),
        cmocka_unit_test(lanes_are_a_table_of_their_own),
        cmocka_unit_test(foreign_texts_are_no_markup),
        cmocka_unit_test(nothing_significant_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
