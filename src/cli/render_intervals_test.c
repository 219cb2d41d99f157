/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cli/render.h"

static const struct terminal plain = {.width = SIZE_MAX};

static void waits_have_their_figures(void **state)
{
    (void)state;
    struct frame_result stack[] = {
        {.name = "pipe_read", .image = "[kernel]", .kind = FRAME_KIND_KERNEL},
        {.name = "read", .image = "libc.so.6"},
        {.name = "take_job", .image = "tool"},
    };
    struct interval_row rows[] = {
        {
            .tid = 4711,
            .name = "tool",
            .start_ns = 1500 * NS_PER_MS,
            .duration_ns = 12 * NS_PER_MS,
            .runq_ns = 30000,
            .reason = WAIT_REASON_IPC,
            .wait_site = "pipe_read",
            .n_stack = 3,
            .stack = stack,
            .object = "pipe:[77]",
            .has_waker = true,
            .waker = {.tid = 4712, .name = "helper"},
        },
        {
            .tid = 4712,
            .name = "helper",
            .duration_ns = 9 * NS_PER_MS,
            .reason = WAIT_REASON_OTHER,
            .open = true,
            .approximate = true,
        },
        {.tid = 4713, .reason = WAIT_REASON_SLEEP, .wait_site = "do_nanosleep"},
    };
    struct intervals_result result = {
        .run = {.id = 3, .state = RUN_STATE_STOPPED, .duration_ns = 10 * NS_PER_S},
        .view = {.to_ns = 10 * NS_PER_S},
        .intervals = 5,
        .blocked_ns = 21 * NS_PER_MS,
        .runq_ns = 30000,
        .n_rows = 3,
        .rows = rows,
    };
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_intervals(&result, &plain, &text);
    assert_string_equal(
        text.data,
        "run 3 (stopped, 10.0 s): 5 waits (the longest 3; -n 0: all), 21.0 ms blocked and 30.0 us "
        "from wakeup to CPU\n"
        " start s   blocked     runq  reason  thread         woken by       where\n"
        "1.500000   12.0 ms  30.0 us  ipc     tool (4711)    helper (4712)  pipe_read ← read ← "
        "take_job [pipe:[77]]\n"
        "0.000000  9.00 ms+        -  other   helper (4712)  (lasts)        ~(not known)\n"
        "0.000000      0 ns        -  sleep   (4713)         ?              do_nanosleep\n"
        "~ the place is that of a look in between, or of an earlier wait\n");
}

static void no_waits_are_one_line(void **state)
{
    (void)state;
    const struct intervals_result result = {
        .run = {.id = 1, .state = RUN_STATE_RECORDING, .duration_ns = NS_PER_S},
        .view = {.to_ns = NS_PER_S},
        .order = INTERVALS_ORDER_LATEST,
    };
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_intervals(&result, &plain, &text);
    assert_string_equal(text.data, "run 1 (recording, 1.00 s): 0 waits, 0 ns blocked and 0 ns from "
                                   "wakeup to CPU\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_have_their_figures),
        cmocka_unit_test(no_waits_are_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
