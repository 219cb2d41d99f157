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
    {.name = "try_to_wake_up", .image = "[kernel]", .kind = FRAME_KIND_KERNEL},
    {.name = "write", .image = "libc.so.6"},
    {.name = "hand_over", .image = "tool"},
};

static void pairs_have_their_figures(void **state)
{
    (void)state;
    struct waker_row rows[] = {
        {
            .waker_tid = 4711,
            .waker_name = "tool",
            .wakee_tid = 4712,
            .wakee_name = "helper",
            .count = 12,
            .wait_ended_ns = 12 * NS_PER_MS,
            .runq_ns = 3 * NS_PER_MS,
            .stacks = 3,
            .n_waker_stack = 3,
            .waker_stack = stack,
        },
        {
            .waker_tid = 9,
            .waker_name = "kworker",
            .is_outsider = true,
            .wakee_tid = 4711,
            .wakee_name = "tool",
            .count = 1,
            .stacks = 1,
            .n_waker_stack = 1,
            .waker_stack = stack,
        },
        {.waker_name = "(timer or interrupt)", .wakee_tid = 4711, .wakee_name = "tool", .count = 7},
    };
    const struct wakers_result result = {
        .run = {.id = 3, .state = RUN_STATE_STOPPED, .duration_ns = 10 * NS_PER_S},
        .view = {.to_ns = 10 * NS_PER_S},
        .wakers = 9,
        .count = 20,
        .wait_ended_ns = 12 * NS_PER_MS,
        .n_rows = 3,
        .rows = rows,
    };
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_wakers(&result, &plain, &text);
    assert_string_equal(
        text.data,
        "run 3 (stopped, 10.0 s): 20 wakeups ended 12.0 ms of waiting; 9 rows (3 shown; -n 0: "
        "all)\n"
        "wakeups  ended ms  runq ms  waker                 woke           from\n"
        "     12     12.00     3.00  tool (4711)           helper (4712)  write ← hand_over (and 2 "
        "other stacks)\n"
        "      1      0.00     0.00  kworker (9) outside   tool (4711)    try_to_wake_up\n"
        "      7      0.00     0.00  (timer or interrupt)  tool (4711)    \n");
}

static void chains_are_told_link_by_link(void **state)
{
    (void)state;
    struct waker_link chain[] = {
        {
            .wakee_tid = 4712,
            .wakee_name = "helper",
            .waker_tid = 4711,
            .waker_name = "tool",
            .count = 1,
            .wait_ended_ns = NS_PER_MS,
            .runq_ns = 5000,
            .share_pct = 75,
            .n_waker_stack = 3,
            .waker_stack = stack,
        },
        {
            .wakee_tid = 4711,
            .wakee_name = "tool",
            .waker_name = "(timer or interrupt)",
            .count = 2,
            .wait_ended_ns = 2 * NS_PER_MS,
            .share_pct = 100,
        },
    };
    const struct wakers_result result = {
        .run = {.id = 3, .state = RUN_STATE_STOPPED, .duration_ns = NS_PER_S},
        .view = {.to_ns = NS_PER_S},
        .n_chain = 2,
        .chain = chain,
        .chain_end = "no thread did that: a timer or an interrupt",
    };
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_wakers(&result, &plain, &text);
    assert_string_equal(
        text.data,
        "run 3 (stopped, 1.00 s): 0 wakeups ended 0 ns of waiting; 0 rows\n"
        "\n"
        "helper (4712) was woken by tool (4711): 1 time, which ended 1.00 ms of waiting (75.0 % of "
        "all that was ended), then 5.00 us to a CPU\n"
        "    from write ← hand_over\n"
        "tool (4711) was woken by (timer or interrupt): 2 times, which ended 2.00 ms of waiting "
        "(100.0 % of all that was ended), then 0 ns to a CPU\n"
        "the chain ends here: no thread did that: a timer or an interrupt\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_have_their_figures),
        cmocka_unit_test(chains_are_told_link_by_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
