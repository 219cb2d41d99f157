/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cli/render.h"

static const struct terminal plain = {.width = SIZE_MAX};

static struct frame_result stack[] = {
    {.name = "compute", .image = "tool"},
    {.name = "main", .image = "tool"},
};

static struct why_sum summary[] = {
    {
        .tid = 4712,
        .name = "helper",
        .kind = WHY_KIND_RUN,
        .what = "compute",
        .image = "tool",
        .total_ns = 600 * NS_PER_MS,
        .count = 3,
        .total_pct = 60,
    },
    {
        .tid = 4711,
        .name = "tool",
        .kind = WHY_KIND_WAIT,
        .reason = WAIT_REASON_SLEEP,
        .what = "do_nanosleep",
        .image = "[kernel]",
        .total_ns = 200 * NS_PER_MS,
        .count = 1,
        .total_pct = 20,
    },
    {.tid = 4711, .name = "tool", .kind = WHY_KIND_RUN, .total_ns = NS_PER_MS, .count = 1},
    {.tid = 4711, .name = "tool", .kind = WHY_KIND_RUNQ, .total_ns = NS_PER_MS, .count = 1},
    {.tid = 4711, .name = "tool", .kind = WHY_KIND_UNKNOWN, .total_ns = NS_PER_MS, .count = 1},
    {
        .tid = 4711,
        .name = "tool",
        .kind = WHY_KIND_WAIT,
        .reason = WAIT_REASON_OTHER,
        .total_ns = NS_PER_MS,
        .count = 1,
    },
};

static struct why_handover handovers[] = {
    {
        .wakee_tid = 4711,
        .wakee_name = "tool",
        .waker_tid = 4712,
        .waker_name = "helper",
        .reason = WAIT_REASON_LOCK,
        .wait_site = "futex_wait",
        .count = 2,
        .waited_ns = 500 * NS_PER_MS,
    },
    {
        .wakee_tid = 4712,
        .wakee_name = "helper",
        .waker_tid = 4711,
        .waker_name = "tool",
        .is_birth = true,
        .count = 1,
    },
};

static void paths_are_told_in_three_parts(void **state)
{
    (void)state;
    struct why_segment segments[] = {
        {
            .tid = 4712,
            .name = "helper",
            .kind = WHY_KIND_RUN,
            .start_ns = 100 * NS_PER_MS,
            .duration_ns = 600 * NS_PER_MS,
            .n_stack = 2,
            .stack = stack,
        },
        {
            .tid = 4711,
            .name = "tool",
            .kind = WHY_KIND_RUNQ,
            .start_ns = 700 * NS_PER_MS,
            .duration_ns = 20000,
            .has_waker = true,
            .waker_tid = 4712,
            .waker_name = "helper",
            .has_edge = true,
            .edge = {.waker_tid = 4712, .waker_name = "helper"},
        },
        {
            .tid = 4711,
            .name = "tool",
            .kind = WHY_KIND_WAIT,
            .reason = WAIT_REASON_SLEEP,
            .wait_site = "do_nanosleep",
            .start_ns = 800 * NS_PER_MS,
            .duration_ns = 200 * NS_PER_MS,
            .has_waker = true,
            .waker_name = "(timer or interrupt)",
        },
        {.tid = 4711, .name = "tool", .kind = WHY_KIND_RUN, .start_ns = NS_PER_S, .duration_ns = 7},
    };
    const struct why_result result = {
        .run = {.id = 3, .state = RUN_STATE_STOPPED, .duration_ns = NS_PER_S},
        .view = {.to_ns = NS_PER_S},
        .total_ns = NS_PER_S,
        .end_ns = NS_PER_S,
        .thread = {.tid = 4711, .name = "tool"},
        .choice = "it ran last",
        .all_segments = 200000,
        .unkept_segments = 100000,
        .n_segments = 4,
        .segments = segments,
        .n_summary = 6,
        .summary = summary,
        .n_handovers = 2,
        .handovers = handovers,
    };
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_why(&result, &plain, &text);
    assert_string_equal(
        text.data,
        "run 3 (stopped, 1.00 s): the path of 1.00 s back from the end of tool (4711): it ran "
        "last\n"
        "    ms     %  segments  thread               what\n"
        "600.00  60.0         3  helper (4712)  run   compute (tool)\n"
        "200.00  20.0         1  tool (4711)    wait  sleep: do_nanosleep ([kernel])\n"
        "  1.00   0.0         1  tool (4711)    run   (not sampled)\n"
        "  1.00   0.0         1  tool (4711)    runq  waits for a CPU\n"
        "  1.00   0.0         1  tool (4711)    ?     not there, or not known\n"
        "  1.00   0.0         1  tool (4711)    wait  other: (not known)\n"
        "\n"
        "times  blocked ms  thread         woken by       waited for\n"
        "    2      500.00  tool (4711)    helper (4712)  lock: futex_wait\n"
        "    1        0.00  helper (4712)  tool (4711)    (made by it)\n"
        "\n"
        "the last 4 of 200000 segments (-n 0: all):\n"
        " start s  duration  thread               woken by              what\n"
        "0.100000    600 ms  helper (4712)  run                         compute ← main\n"
        "0.700000   20.0 us  tool (4711)    runq  helper (4712)         waits for a CPU\n"
        "0.800000    200 ms  tool (4711)    wait  (timer or interrupt)  sleep: do_nanosleep\n"
        "1.000000      7 ns  tool (4711)    run                         (not sampled)\n"
        "the earliest 100000 segments are in the summary only\n");
}

static void without_wakeups_there_is_no_part_for_them(void **state)
{
    (void)state;
    struct why_segment segment = {.tid = 4711, .name = "tool", .duration_ns = NS_PER_S};
    const struct why_result result = {
        .run = {.id = 3, .state = RUN_STATE_STOPPED, .duration_ns = NS_PER_S},
        .view = {.to_ns = NS_PER_S},
        .total_ns = NS_PER_S,
        .thread = {.tid = 4711, .name = "tool"},
        .all_segments = 1,
        .n_segments = 1,
        .segments = &segment,
        .n_summary = 1,
        .summary = summary,
    };
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_why(&result, &plain, &text);
    assert_string_equal(text.data,
                        "run 3 (stopped, 1.00 s): the path of 1.00 s back from the end of tool "
                        "(4711)\n"
                        "    ms     %  segments  thread              what\n"
                        "600.00  60.0         3  helper (4712)  run  compute (tool)\n"
                        "\n"
                        "all 1 segment:\n"
                        " start s  duration  thread            woken by  what\n"
                        "0.000000    1.00 s  tool (4711)  run            (not sampled)\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_told_in_three_parts),
        cmocka_unit_test(without_wakeups_there_is_no_part_for_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
