/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cli/render.h"

static const struct terminal plain = {.width = SIZE_MAX};

static struct counter_state counters[] = {
    {.name = "cycles", .available = true},
    {.name = "instructions", .available = true},
    {.name = "L1d-misses", .reason = "No such file or directory"},
    {.name = "branch-misses", .available = true},
};

static struct counters_row rows[] = {
    {
        .name = "parse\033",
        .image = "bench",
        .inlined = true,
        .tid = 4711,
        .has_cycles = true,
        .cycles = 81000000,
        .has_instructions = true,
        .instructions = 121500000,
        .has_ipc = true,
        .ipc = 1.5,
        .has_branch_misses = true,
        .branch_misses = 12,
        .samples = 900,
    },
    {
        .name = "read_line",
        .image = "libc.so.6",
        .tid = 4712,
        .has_cycles = true,
        .cycles = 900,
        .scaled = true,
        .counted_pct = 50,
        .samples = 3,
    },
};

static struct counters_result result_of(enum counters_by by)
{
    return (struct counters_result){
        .run = {.id = 3, .state = RUN_STATE_STOPPED, .duration_ns = 10 * NS_PER_S},
        .view = {.to_ns = 10 * NS_PER_S},
        .by = by,
        .available = true,
        .host_has = true,
        .n_counters = 4,
        .counters = counters,
        .total = {.samples = 903},
        .all_rows = 2,
        .n_rows = 2,
        .rows = rows,
    };
}

static void assert_rendered(const struct counters_result *result, const char *expected)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_counters(result, &plain, &text);
    assert_string_equal(text.data, expected);
}

#define GAP "L1d-misses: not available on this host (No such file or directory)\n"

static void functions(void **state)
{
    (void)state;
    struct counters_result result = result_of(COUNTERS_BY_FUNCTION);
    assert_rendered(
        &result,
        "run 3 (stopped, 10.0 s): 903 readings, 2 functions\n" GAP
        "  cycles  instructions   IPC  L1d-misses  branch-misses  samples  function (image)\n"
        "81000000     121500000  1.50           -             12      900  parse\\x1b (bench) "
        "(inlined)\n"
        "    ~900             -     -           -              -        3  read_line "
        "(libc.so.6)\n");
}

static void threads_and_what_is_missing(void **state)
{
    (void)state;
    struct counters_result result = result_of(COUNTERS_BY_THREAD);
    result.n_rows = 1;
    result.user_only = true;
    result.dropped = 1;
    result.total.scaled = true;
    result.total.counted_pct = 62.5;
    assert_rendered(
        &result,
        "run 3 (stopped, 10.0 s): 903 readings, 2 threads (1 shown; -n 0: all)\n" GAP
        "kernel mode is not counted (perf_event_paranoid)\n"
        "1 reading dropped\n"
        "~ the counters were there for 62.5 % of the time, the rest is estimated\n"
        "  cycles  instructions   IPC  L1d-misses  branch-misses  samples   tid  name\n"
        "81000000     121500000  1.50           -             12      900  4711  parse\\x1b\n");
}

static void why_there_are_none(void **state)
{
    (void)state;
    struct counters_result result = {
        .run = {.id = 3, .state = RUN_STATE_STOPPED, .duration_ns = 10 * NS_PER_S},
        .view = {.to_ns = 10 * NS_PER_S},
        .reason = "no hardware PMU: cycles: No such file or directory",
    };
    assert_rendered(&result, "run 3 (stopped, 10.0 s): counters: not available on this host (no "
                             "hardware PMU: cycles: No such file or directory)\n");
    result.host_has = true;
    result.reason = "this run was recorded without them";
    result.fix = "stax record --counters …";
    assert_rendered(&result, "run 3 (stopped, 10.0 s): counters: this run was recorded without "
                             "them\n  fix: stax record --counters …\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions),
        cmocka_unit_test(threads_and_what_is_missing),
        cmocka_unit_test(why_there_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
