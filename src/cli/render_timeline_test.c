/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "cli/render.h"

/* Ten buckets of 100 ms, the last one of 50. */
static void render(bool is_ascii, struct text *text)
{
    const struct terminal terminal = {.width = SIZE_MAX, .is_ascii = is_ascii};
    uint64_t cpu_ns[10] = {0};
    for (uint64_t i = 0; i < 9; i++) {
        cpu_ns[i] = i * 100 * NS_PER_MS / 8;
    }
    cpu_ns[1] = 1; /* next to nothing is not nothing */
    cpu_ns[9] = 50 * NS_PER_MS;
    uint64_t none_ns[10] = {0};
    struct timeline_row rows[] = {
        {
            .tid = 4711,
            .name = "tool",
            .cpu_ns = 400 * NS_PER_MS,
            .runq_ns = 2 * NS_PER_MS,
            .off_cpu_ns = 100 * NS_PER_MS,
            .n_cpu_by_bucket_ns = 10,
            .cpu_by_bucket_ns = cpu_ns,
        },
        {.tid = 12, .name = "i\nt", .n_cpu_by_bucket_ns = 10, .cpu_by_bucket_ns = none_ns},
    };
    const struct timeline_result result = {
        .run = {.id = 3, .state = RUN_STATE_STOPPED, .duration_ns = 950 * NS_PER_MS},
        .view = {.to_ns = 950 * NS_PER_MS},
        .buckets = 10,
        .bucket_ns = 100 * NS_PER_MS,
        .threads = 5,
        .n_rows = 2,
        .rows = rows,
    };
    render_timeline(&result, &terminal, text);
}

static void blocks_are_as_high_as_the_time(void **state)
{
    (void)state;
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render(false, &text);
    assert_string_equal(
        text.data, "run 3 (stopped, 950 ms): 5 threads (2 shown; -n 0: all), 10 buckets of 100 ms\n"
                   "cpu ms  off-CPU ms  runq ms  on a CPU, 0 ns to 950 ms   tid  name\n"
                   "400.00      100.00     2.00  | ▁▃▄▅▆▇███|              4711  tool\n"
                   "  0.00        0.00     0.00  |          |                12  i\\x0at\n");
}

static void letters_stand_where_blocks_cannot_be_shown(void **state)
{
    (void)state;
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render(true, &text);
    assert_non_null(strstr(text.data, "| .-=+*#%@@|"));
    for (const char *at = text.data; *at != '\0'; at++) {
        assert_true((unsigned char)*at < 0x80);
    }
}

static void lanes_have_columns_of_their_own(void **state)
{
    (void)state;
    uint64_t cpu_ns[] = {0, 50 * NS_PER_MS}, target_ns[] = {150 * NS_PER_MS, 0};
    struct timeline_row rows[] = {
        {.tid = 7,
         .name = "tool",
         .cpu_ns = 50 * NS_PER_MS,
         .n_cpu_by_bucket_ns = 2,
         .cpu_by_bucket_ns = cpu_ns},
        {.tid = 4293918720,
         .name = "GPU 0",
         .kind = THREAD_KIND_TARGET,
         .target_ns = 150 * NS_PER_MS,
         .spans = 3,
         .n_target_by_bucket_ns = 2,
         .target_by_bucket_ns = target_ns},
    };
    const struct timeline_result result = {
        .run = {.id = 3, .state = RUN_STATE_STOPPED, .duration_ns = 200 * NS_PER_MS},
        .view = {.to_ns = 200 * NS_PER_MS},
        .buckets = 2,
        .bucket_ns = 100 * NS_PER_MS,
        .threads = 5,
        .n_rows = 2,
        .rows = rows,
    };
    const struct terminal terminal = {.width = SIZE_MAX, .is_ascii = true};
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_timeline(&result, &terminal, &text);
    assert_string_equal(
        text.data,
        "run 3 (stopped, 200 ms): 4 threads (1 shown; -n 0: all), 1 lane, 2 buckets of 100 ms\n"
        "cpu ms  off-CPU ms  runq ms  target ms  spans  on a CPU or in spans, 0 ns to 200 ms"
        "         tid  name\n"
        " 50.00        0.00     0.00       0.00      0  | +|                                "
        "           7  tool\n"
        "  0.00        0.00     0.00     150.00      3  |@ |                                "
        "  4293918720  GPU 0\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_as_high_as_the_time),
        cmocka_unit_test(letters_stand_where_blocks_cannot_be_shown),
        cmocka_unit_test(lanes_have_columns_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
