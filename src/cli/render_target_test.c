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
    {.name = "finish_task_switch", .image = "[kernel]", .kind = FRAME_KIND_KERNEL},
    {.name = "pthread_cond_signal", .image = "libc.so.6"},
    {.name = "submit", .image = "tool"},
    {.name = "main", .image = "tool"},
};
static char *path[] = {"frame"};

#define HEAD                                                                                       \
    .run = {.id = 3, .state = RUN_STATE_STOPPED, .duration_ns = 10 * NS_PER_S},                    \
    .view = {.to_ns = 10 * NS_PER_S}

static void lanes_have_their_figures(void **state)
{
    (void)state;
    struct target_lane_row rows[] = {
        {
            .tid = 4293918720,
            .pid = 4711,
            .name = "GPU 0",
            .kind = LANE_KIND_GPU,
            .spans = 8,
            .names = 2,
            .total_ns = 1500 * NS_PER_MS,
            .load = 0.15,
            .first_ns = NS_PER_S,
            .last_ns = 9 * NS_PER_S,
            .waits = 1,
            .waited_ns = 3 * NS_PER_MS,
            .origins = {.linked = 6, .missing = 2},
        },
        {.tid = 4293918721, .pid = 4711, .name = "new\033lane"},
    };
    const struct target_lanes_result result = {
        HEAD, .lanes = 3, .spans = 8, .target_ns = 1500 * NS_PER_MS, .n_rows = 2, .rows = rows};
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_target_lanes(&result, &plain, &text);
    assert_string_equal(
        text.data,
        "run 3 (stopped, 10.0 s): 3 lanes (2 shown; -n 0: all), 8 spans, 1.50 s of target time\n"
        "target ms  load  spans  names  linked   waited  first s  last s  kind            tid   "
        "pid "
        " lane\n"
        "  1500.00  0.15      8      2  75.0 %  3.00 ms    1.000   9.000  gpu      4293918720  "
        "4711 "
        " GPU 0\n"
        "     0.00  0.00      0      0       -        -    0.000   0.000  generic  4293918721  "
        "4711 "
        " new\\x1blane\n");
}

static void names_stand_behind_what_they_are_inside_of(void **state)
{
    (void)state;
    struct target_top_row rows[] = {
        {
            .name = "frame",
            .lane = "decoder",
            .spans = 2,
            .total_ns = 20 * NS_PER_MS,
            .avg_ns = 10 * NS_PER_MS,
            .p50_ns = 8 * NS_PER_MS,
            .p95_ns = 12 * NS_PER_MS,
            .p99_ns = 12 * NS_PER_MS,
            .max_ns = 12 * NS_PER_MS,
            .total_pct = 100,
        },
        {
            .name = "decode",
            .n_path = 1,
            .path = path,
            .lane = "decoder",
            .spans = 1,
            .total_ns = 5 * NS_PER_MS,
            .avg_ns = 5 * NS_PER_MS,
            .p50_ns = 5 * NS_PER_MS,
            .p95_ns = 5 * NS_PER_MS,
            .p99_ns = 5 * NS_PER_MS,
            .max_ns = 5 * NS_PER_MS,
            .waits = 1,
            .waited_ns = 1000,
            .total_pct = 25,
        },
    };
    const struct target_top_result result = {HEAD,        .sort = TARGET_TOP_SORT_P99, .names = 2,
                                             .spans = 3,  .target_ns = 20 * NS_PER_MS, .n_rows = 2,
                                             .rows = rows};
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_target_top(&result, &plain, &text);
    assert_string_equal(
        text.data,
        "run 3 (stopped, 10.0 s): 3 spans, 20.0 ms of target time; 2 names by 99th percentile\n"
        "target ms      %  spans      avg      p50      p95      p99      max   waited  lane     "
        "span\n"
        "    20.00  100.0      2  10.0 ms  8.00 ms  12.0 ms  12.0 ms  12.0 ms        -  decoder  "
        "frame\n"
        "     5.00   25.0      1  5.00 ms  5.00 ms  5.00 ms  5.00 ms  5.00 ms  1.00 us  decoder  "
        "frame → decode\n");
}

static void spans_tell_what_they_have(void **state)
{
    (void)state;
    uint32_t dimensions[] = {640, 480};
    struct span_counter counters[] = {{.name = "occupancy", .value = 0.75},
                                      {.name = "read", .unit = "GB/s", .value = 1.5}};
    struct span_attachment attachments[] = {
        {.label = "input", .size_bytes = 4096, .n_dimensions = 2, .dimensions = dimensions}};
    struct target_span_row rows[] = {
        {
            .name = "decode",
            .n_path = 1,
            .path = path,
            .lane = "decoder",
            .start_ns = 1500 * NS_PER_MS,
            .duration_ns = 5 * NS_PER_MS,
            .origin = {.state = ORIGIN_LINKED,
                       .tid = 4711,
                       .name = "tool",
                       .has_distance = true,
                       .distance_ns = 2000,
                       .n_stack = 4,
                       .stack = stack,
                       .n_inner = 2},
            .queue_id = 1,
            .dispatch_id = 12,
            .has_wait = true,
            .wait = {.tid = 4711,
                     .name = "tool",
                     .start_ns = NS_PER_S,
                     .end_ns = 2 * NS_PER_S,
                     .waited_ns = 5 * NS_PER_MS},
            .has_completion = true,
            .completion = {.tid = 4712, .time_ns = 1506 * NS_PER_MS},
            .has_source = true,
            .source = {.file = "k.cl", .function = "blur", .line = 7},
            .n_counters = 2,
            .counters = counters,
            .n_attachments = 1,
            .attachments = attachments,
        },
        {.name = "copy",
         .lane = "GPU 0",
         .start_ns = -20 * (int64_t)NS_PER_MS,
         .duration_ns = 10 * NS_PER_MS,
         .origin = {.state = ORIGIN_MISSING},
         .has_completion = true,
         .completion = {.tid = 4712, .time_ns = -12 * (int64_t)NS_PER_MS}},
    };
    const struct target_spans_result result = {HEAD, .spans = 9, .n_rows = 2, .rows = rows};
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_target_spans(&result, &plain, &text);
    assert_string_equal(
        text.data,
        "run 3 (stopped, 10.0 s): 9 spans (the longest 2; -n 0: all)\n"
        "  start s   length   waited  lane     queued by    span\n"
        " 1.500000  5.00 ms  5.00 ms  decoder  tool (4711)  frame → decode\n"
        "                                                     from submit ← main (2.00 us "
        "off)\n"
        "                                                     queue 1, dispatch 12\n"
        "                                                     waited for by tool (4711) for "
        "1.00 s\n"
        "                                                     its end was noticed by (4712) "
        "after 1.00 ms\n"
        "                                                     runs blur of k.cl:7\n"
        "                                                     occupancy 0.75, read 1.5 "
        "GB/s\n"
        "                                                     input 4.00 KiB, 640×480\n"
        "-0.020000  10.0 ms        -  GPU 0    ?            copy\n"
        "                                                     origin: missing origin\n"
        "                                                     its end was noticed by (4712) "
        "before it, by 2.00 ms\n");
}

static void origins_and_waits_are_two_tables(void **state)
{
    (void)state;
    struct target_origin_row rows[] = {
        {
            .state = ORIGIN_LINKED,
            .tid = 4711,
            .thread = "tool",
            .lane = "decoder",
            .name = "frame",
            .names = 3,
            .count = 12,
            .total_ns = 20 * NS_PER_MS,
            .total_pct = 80,
            .n_stack = 4,
            .stack = stack,
            .n_inner = 2,
        },
        {.state = ORIGIN_TOO_FAR,
         .lane = "GPU 0",
         .name = "copy",
         .names = 1,
         .count = 2,
         .total_ns = 5 * NS_PER_MS,
         .total_pct = 20},
    };
    struct target_wait_row waiters[] = {
        {.tid = 4711,
         .thread = "tool",
         .lane = "GPU 0",
         .name = "copy",
         .names = 1,
         .count = 2,
         .waited_ns = 3 * NS_PER_MS,
         .n_stack = 4,
         .stack = stack,
         .n_inner = 2},
    };
    struct target_origins_result result = {
        HEAD,
        .spans = 14,
        .target_ns = 25 * NS_PER_MS,
        .origins = {.linked = 12, .too_far = 2},
        .linked = {.count = 12, .min_ns = 10, .avg_ns = 2000, .max_ns = 4000000},
        .too_far = {.count = 2, .min_ns = 6000000, .avg_ns = 7000000, .max_ns = 8000000},
        .origin_rows = 2,
        .n_rows = 2,
        .rows = rows,
        .waits = 2,
        .waited_ns = 3 * NS_PER_MS,
        .wait_rows = 1,
        .n_waiters = 1,
        .waiters = waiters,
    };
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_target_origins(&result, &plain, &text);
    assert_string_equal(
        text.data,
        "run 3 (stopped, 10.0 s): 14 spans, 25.0 ms of target time; 2 rows\n"
        "origins: 12 linked (2.00 us from a stack on average, 10 ns … 4.00 ms), 2 too far (7.00 ms "
        "from a stack on average, 6.00 ms … 8.00 ms)\n"
        "target ms     %  spans  queued by    lane     span                  from\n"
        "    20.00  80.0     12  tool (4711)  decoder  frame (and 2 others)  submit ← main\n"
        "     5.00  20.0      2  (too far)    GPU 0    copy                  -\n"
        "\n"
        "2 waits for spans, 3.00 ms while they ran\n"
        "waited ms  waits  who waited   lane   span  where\n"
        "     3.00      2  tool (4711)  GPU 0  copy  submit ← main\n");

    result.spans = result.n_rows = result.n_waiters = 0;
    text_clear(&text);
    render_target_origins(&result, &plain, &text);
    assert_string_equal(text.data,
                        "run 3 (stopped, 10.0 s): 0 spans, 25.0 ms of target time; 2 rows (0 "
                        "shown; -n 0: all)\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_have_their_figures),
        cmocka_unit_test(names_stand_behind_what_they_are_inside_of),
        cmocka_unit_test(spans_tell_what_they_have),
        cmocka_unit_test(origins_and_waits_are_two_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
