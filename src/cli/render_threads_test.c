/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cli/render.h"

static const struct terminal plain = {.width = SIZE_MAX};

static void threads_have_their_times(void **state)
{
    (void)state;
    struct thread_row rows[] = {
        {
            .tid = 4711,
            .name = "bench",
            .cpu_ns = 9981 * NS_PER_MS,
            .off_cpu_ns = 12 * NS_PER_MS,
            .runq_ns = 7 * NS_PER_MS,
            .blocked = "ioR",
            .off_cpu_by_reason_ns = {.io_r_ns = 11 * NS_PER_MS, .lock_ns = NS_PER_MS},
            .samples = 8983,
        },
        {.tid = 4712, .name = "w\r1", .kind = THREAD_KIND_TARGET, .target_ns = 5500000, .spans = 3},
    };
    struct threads_result result = {
        .run = {.id = 3, .state = RUN_STATE_STOPPED, .duration_ns = 10 * NS_PER_S},
        .view = {.to_ns = 10 * NS_PER_S},
        .totals = {.cpu_ns = 9981 * NS_PER_MS,
                   .off_cpu_ns = 12 * NS_PER_MS,
                   .target_ns = 5500000,
                   .spans = 3},
        .threads = 64,
        .n_rows = 2,
        .rows = rows,
    };
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_threads(&result, &plain, &text);
    assert_string_equal(
        text.data,
        "run 3 (stopped, 10.0 s): 63 threads (1 shown; -n 0: all), 9.98 s on CPU, 12.0 ms off-CPU; "
        "1 lane, 5.50 ms target\n"
        " cpu ms  target ms  off-CPU ms  runq ms  blocked    samples  spans  kind     tid  name\n"
        "9981.00       0.00       12.00     7.00  ioR 11.00     8983      0  thread  4711  bench\n"
        "   0.00       5.50        0.00     0.00  -                0      3  target  4712  "
        "w\\x0d1\n");
}

static void without_lanes_none_are_spoken_of(void **state)
{
    (void)state;
    struct thread_row rows[] = {{.tid = 1, .name = "one"}};
    struct threads_result result = {
        .run = {.id = 3, .state = RUN_STATE_STOPPED}, .threads = 1, .n_rows = 1, .rows = rows};
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_threads(&result, &plain, &text);
    assert_string_equal(
        text.data, "run 3 (stopped, 0 ns): 1 thread, 0 ns on CPU, 0 ns off-CPU\n"
                   "cpu ms  target ms  off-CPU ms  runq ms  blocked  samples  spans  kind    tid  "
                   "name\n"
                   "  0.00       0.00        0.00     0.00  -              0      0  thread    1  "
                   "one\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_have_their_times),
        cmocka_unit_test(without_lanes_none_are_spoken_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
