/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/render.h"

static const struct terminal plain = {.width = SIZE_MAX};

static struct neighbor_row callers[] = {
    {.name = "main", .image = "tool", .active_ns = 750000000, .samples = 675, .share_pct = 75},
    {.name = "(no caller)", .image = "", .active_ns = 250000000, .samples = 225, .share_pct = 25},
};
static struct neighbor_row callees[] = {
    {.name = "mix",
     .image = "tool",
     .inlined = true,
     .active_ns = 900000000,
     .samples = 810,
     .share_pct = 90},
};

static struct neighbors_result result_of(void)
{
    return (struct neighbors_result){
        .run = {.id = 2, .state = RUN_STATE_STOPPED, .duration_ns = 2000000000},
        .view = {.to_ns = 2000000000},
        .function = {.name = "parse\033",
                     .image = "tool",
                     .total_active_ns = 1000000000,
                     .self_active_ns = 100000000,
                     .total_samples = 900,
                     .self_samples = 90,
                     .total_pct = 50,
                     .self_pct = 5},
        .all_callers = 5,
        .all_callees = 1,
        .n_callers = 2,
        .callers = callers,
        .n_callees = 1,
        .callees = callees,
    };
}

static void assert_rendered(const struct neighbors_result *result, const char *expected)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, RENDER_MAX_BYTES);
    render_neighbors(result, &plain, &text);
    assert_string_equal(text.data, expected);
}

static void callers_and_callees_are_tables(void **state)
{
    (void)state;
    struct neighbors_result result = result_of();
    assert_rendered(&result, "run 2 (stopped, 2.00 s): parse\\x1b (tool)\n"
                             "total 1.00 s (50.0 %, 900 samples), self 100 ms (5.0 %, 90 samples)\n"
                             "\n"
                             "active ms  samples     %  called by\n"
                             "   750.00      675  75.0  main (tool)\n"
                             "   250.00      225  25.0  (no caller)\n"
                             "…3 more\n"
                             "\n"
                             "active ms  samples     %  calls\n"
                             "   900.00      810  90.0  mix (tool) (inlined)\n");
}

static void a_leaf_calls_nothing(void **state)
{
    (void)state;
    struct neighbors_result result = result_of();
    result.n_callees = 0;
    result.n_callers = 1;
    result.all_callers = 1;
    assert_rendered(&result, "run 2 (stopped, 2.00 s): parse\\x1b (tool)\n"
                             "total 1.00 s (50.0 %, 900 samples), self 100 ms (5.0 %, 90 samples)\n"
                             "\n"
                             "active ms  samples     %  called by\n"
                             "   750.00      675  75.0  main (tool)\n"
                             "\n"
                             "calls nothing that was sampled\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callers_and_callees_are_tables),
        cmocka_unit_test(a_leaf_calls_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
