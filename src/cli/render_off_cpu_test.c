/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "cli/render.h"

static const struct terminal plain = {.width = SIZE_MAX};

static struct frame_result stack[] = {
    {.name = "schedule", .image = "[kernel]", .kind = FRAME_KIND_KERNEL},
    {.name = "futex_wait_queue", .image = "[kernel]", .kind = FRAME_KIND_KERNEL},
    {.name = "__lll_lock_wait", .image = "libc.so.6"},
    {.name = "put\033", .image = "bench", .inlined = true},
    {.name = "main", .image = "bench"},
};

static struct off_cpu_row rows[] = {
    {
        .reason = WAIT_REASON_LOCK,
        .count = 21,
        .open = 1,
        .total_ns = 8100 * NS_PER_MS,
        .max_ns = 4000 * NS_PER_MS,
        .p50_ns = 20 * NS_PER_MS,
        .share_pct = 81.0,
        .wait_site = "__lll_lock_wait",
        .n_stack = 5,
        .stack = stack,
        .frames = 6,
        .approximate = true,
        .complete = true,
        .tid = 4711,
        .thread = "main",
        .object = "futex 0x7f0012",
    },
    {.reason = WAIT_REASON_OTHER, .total_ns = 1900 * NS_PER_MS, .share_pct = 19.0},
};

static struct off_cpu_result result_of(enum off_cpu_by by)
{
    return (struct off_cpu_result){
        .run = {.id = 3, .state = RUN_STATE_STOPPED, .duration_ns = 10 * NS_PER_S},
        .view = {.to_ns = 10 * NS_PER_S},
        .by = by,
        .totals = {.off_cpu_ns = 10 * NS_PER_S},
        .waits = 21,
        .open = 1,
        .selected_ns = 10 * NS_PER_S,
        .all_rows = 2,
        .n_rows = 2,
        .rows = rows,
    };
}

static void assert_rendered(const struct off_cpu_result *result, size_t max_frames,
                            const char *expected)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_off_cpu(result, max_frames, &plain, &text);
    assert_string_equal(text.data, expected);
}

#define HEAD "off-CPU ms     %  waits   median  longest  reason  wait site\n"
#define FIRST                                                                                      \
    "   8100.00  81.0     21  20.0 ms   4.00 s  ~lock   __lll_lock_wait, main (4711), 1 "          \
    "lasts, futex 0x7f0012\n"
#define SECOND "   1900.00  19.0      0     0 ns     0 ns  other   (not known)\n"
#define BELOW "                                                   "

static void stacks_stand_below_their_rows(void **state)
{
    (void)state;
    struct off_cpu_result result = result_of(OFF_CPU_BY_STACK);
    assert_rendered(&result, 2,
                    "run 3 (stopped, 10.0 s): 10.0 s off-CPU in 21 waits (1 lasts), 2 stacks\n" //
                    HEAD FIRST                                                                  //
                        BELOW "  __lll_lock_wait (libc.so.6)\n"                                 //
                    BELOW "  put\\x1b (bench) (inlined)\n"                                      //
                    BELOW "  …2 more frames\n" SECOND);
    assert_rendered(&result, 0,
                    "run 3 (stopped, 10.0 s): 10.0 s off-CPU in 21 waits (1 lasts), 2 stacks\n" //
                    HEAD FIRST                                                                  //
                        BELOW "  schedule ([kernel])\n"                                         //
                    BELOW "  futex_wait_queue ([kernel])\n"                                     //
                    BELOW "  __lll_lock_wait (libc.so.6)\n"                                     //
                    BELOW "  put\\x1b (bench) (inlined)\n"                                      //
                    BELOW "  main (bench)\n"                                                    //
                    BELOW "  …1 more frame\n" SECOND);
}

static void other_rows_have_no_stacks(void **state)
{
    (void)state;
    struct off_cpu_result result = result_of(OFF_CPU_BY_THREAD);
    result.selected_ns = 8100 * NS_PER_MS;
    result.all_rows = 40;
    result.n_rows = 1;
    assert_rendered(&result, 12,
                    "run 3 (stopped, 10.0 s): 8.10 s off-CPU of 10.0 s in 21 waits (1 lasts), 40 "
                    "threads' reasons (1 shown; -n 0: all)\n" HEAD FIRST);
}

static void an_empty_answer_is_its_head(void **state)
{
    (void)state;
    struct off_cpu_result result = {.run = {.id = 1, .state = RUN_STATE_RECORDING}};
    assert_rendered(&result, 12, "run 1 (recording, 0 ns): 0 ns off-CPU in 0 waits, 0 stacks\n");
}

static void stacks_that_do_not_reach_the_start_say_so(void **state)
{
    (void)state;
    struct off_cpu_row row = rows[0];
    row.complete = false;
    struct off_cpu_result result = result_of(OFF_CPU_BY_STACK);
    result.rows = &row;
    result.n_rows = 1;
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_off_cpu(&result, 1, &plain, &text);
    assert_non_null(strstr(text.data, "futex 0x7f0012, cut\n"));
    text_clear(&text);
    result.by = OFF_CPU_BY_THREAD;
    render_off_cpu(&result, 1, &plain, &text);
    assert_null(strstr(text.data, "cut"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stacks_stand_below_their_rows),
        cmocka_unit_test(other_rows_have_no_stacks),
        cmocka_unit_test(an_empty_answer_is_its_head),
        cmocka_unit_test(stacks_that_do_not_reach_the_start_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
