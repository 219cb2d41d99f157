/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cli/render.h"

static const struct terminal plain = {.width = SIZE_MAX};

static struct top_row rows[] = {
    {
        .name = "burn_half",
        .image = "bench",
        .self_active_ns = 4990120000,
        .total_active_ns = 5000000000,
        .self_samples = 4491,
        .total_samples = 4500,
    },
    {
        .name = "evil\033[2J",
        .image = NULL,
        .self_active_ns = 10000000,
        .total_active_ns = 9990000000,
        .self_samples = 9,
        .total_samples = 8991,
        .target_ns = 1500000,
        .spans = 2,
    },
};

static struct top_result result = {
    .run = {.id = 3, .state = RUN_STATE_RECORDING, .duration_ns = 10020 * NS_PER_MS},
    .view = {.to_ns = 10020 * NS_PER_MS},
    .totals = {.active_ns = 9990 * NS_PER_MS, .samples = 8991},
    .functions = 412,
    .n_rows = 2,
    .rows = rows,
};

static void assert_top(const struct top_result *wanted, const char *expected)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_top(wanted, &plain, &text);
    assert_string_equal(text.data, expected);
}

static void self_is_the_innermost_frame(void **state)
{
    (void)state;
    assert_top(
        &result,
        "run 3 (recording, 10.0 s): 9.99 s active, 8991 samples, 412 functions by self time\n"
        "active ms  target ms  samples  spans  function (image)\n"
        "  4990.12       0.00     4491      0  burn_half (bench)\n"
        "    10.00       1.50        9      2  evil\\x1b[2J\n");
}

static void total_is_anywhere_on_the_stack(void **state)
{
    (void)state;
    struct top_result total = result;
    total.sort = TOP_SORT_TOTAL;
    assert_top(
        &total,
        "run 3 (recording, 10.0 s): 9.99 s active, 8991 samples, 412 functions by total time\n"
        "active ms  target ms  samples  spans  function (image)\n"
        "  5000.00       0.00     4500      0  burn_half (bench)\n"
        "  9990.00       1.50     8991      2  evil\\x1b[2J\n");
}

static void an_empty_view_has_a_head_only(void **state)
{
    (void)state;
    struct top_result empty = {
        .run = {.id = 1, .state = RUN_STATE_STOPPED, .duration_ns = NS_PER_S},
        .view = {.to_ns = NS_PER_S},
    };
    assert_top(&empty,
               "run 1 (stopped, 1.00 s): 0 ns active, 0 samples, 0 functions by self time\n");
}

static void the_head_tells_the_view(void **state)
{
    (void)state;
    struct top_result part = {
        .run = {.id = 1, .state = RUN_STATE_OPENED, .duration_ns = 10 * NS_PER_S},
        .view =
            {
                .n_tids = 2,
                .tids = (int64_t[]){12, 13},
                .from_ns = 2 * NS_PER_S,
                .to_ns = 3 * NS_PER_S,
                .n_exclude = 1,
                .exclude = (char *[]){"malloc"},
                .n_focus = 1,
                .focus = (char *[]){"parse"},
            },
    };
    assert_top(&part, "run 1 (opened, 10.0 s, from 2.00 s to 3.00 s, tid 12+13, without malloc, "
                      "focus parse): 0 ns active, 0 samples, 0 functions by self time\n");
}

static void rows_that_only_call_are_counted(void **state)
{
    (void)state;
    struct top_row some[] = {
        {.name = "leaf", .image = "x", .self_active_ns = 1000000, .self_samples = 1},
        {.name = "main", .image = "x", .total_active_ns = 1000000, .total_samples = 1},
    };
    struct top_result part = {
        .run = {.id = 1, .state = RUN_STATE_STOPPED, .duration_ns = NS_PER_S},
        .view = {.to_ns = NS_PER_S},
        .totals = {.active_ns = 1000000, .samples = 1},
        .functions = 3,
        .n_rows = 2,
        .rows = some,
    };
    assert_top(&part, "run 1 (stopped, 1.00 s): 1.00 ms active, 1 sample, 3 functions by self "
                      "time\n"
                      "active ms  target ms  samples  spans  function (image)\n"
                      "     1.00       0.00        1      0  leaf (x)\n"
                      "…2 functions without time of their own (--sort total shows them)\n");
    part.functions = 2;
    part.n_rows = 1;
    assert_top(&part, "run 1 (stopped, 1.00 s): 1.00 ms active, 1 sample, 2 functions by self "
                      "time\n"
                      "active ms  target ms  samples  spans  function (image)\n"
                      "     1.00       0.00        1      0  leaf (x)\n");
}

static void an_image_has_its_path_where_it_is_a_file(void **state)
{
    (void)state;
    struct top_row some[] = {
        {.name = "libc.so.6", .image = "", .file = "/lib/libc.so.6", .self_samples = 2},
        {.name = "[kernel]", .image = "", .file = "[kernel]", .self_samples = 1},
    };
    struct top_result part = {
        .run = {.id = 1, .state = RUN_STATE_STOPPED, .duration_ns = NS_PER_S},
        .view = {.to_ns = NS_PER_S},
        .totals = {.samples = 3},
        .functions = 2,
        .group = TOP_GROUP_IMAGE,
        .n_rows = 2,
        .rows = some,
    };
    assert_top(&part, "run 1 (stopped, 1.00 s): 0 ns active, 3 samples, 2 images by self time\n"
                      "active ms  target ms  samples  spans  image (path)\n"
                      "     0.00       0.00        2      0  libc.so.6 (/lib/libc.so.6)\n"
                      "     0.00       0.00        1      0  [kernel]\n");
}

static void spans_are_counted_in_the_head(void **state)
{
    (void)state;
    struct top_row with_span[] = {
        rows[0],
        {
            .name = "kernel",
            .image = "[GPU 0]",
            .kind = FRAME_KIND_TARGET,
            .self_active_ns = 1500000,
            .total_active_ns = 2500000,
            .target_ns = 2500000,
            .spans = 40,
        },
    };
    struct top_result spans = result;
    spans.rows = with_span;
    spans.totals.target_ns = 2500000;
    spans.totals.spans = 41;
    assert_top(&spans,
               "run 3 (recording, 10.0 s): 9.99 s active, 2.50 ms of it target, 8991 samples, 41 "
               "spans, 412 functions and names of spans by self time\n"
               "active ms  target ms  samples  spans  function (image)\n"
               "  4990.12       0.00     4491      0  burn_half (bench)\n"
               "     1.50       2.50        0     40  kernel ([GPU 0])\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(self_is_the_innermost_frame),
        cmocka_unit_test(total_is_anywhere_on_the_stack),
        cmocka_unit_test(an_empty_view_has_a_head_only),
        cmocka_unit_test(the_head_tells_the_view),
        cmocka_unit_test(rows_that_only_call_are_counted),
        cmocka_unit_test(an_image_has_its_path_where_it_is_a_file),
        cmocka_unit_test(spans_are_counted_in_the_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
