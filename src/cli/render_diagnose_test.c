/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cli/render.h"

static const struct terminal plain = {.width = SIZE_MAX};

static void everything_is_told(void **state)
{
    (void)state;
    struct diagnose_counter counters[] = {
        {.room = "capture", .name = "records_read", .value = 12345, .unit = "records"},
        {.room = "merge", .name = "held", .value = 7, .unit = NULL},
    };
    struct diagnose_lost lost[] = {{.cause = "ring full", .count = 3}, {.cause = "throttled"}};
    struct diagnose_image images[] = {
        {
            .path = "/usr/bin/x",
            .symbols = ".symtab",
            .state = "loaded",
            .functions = 100,
            .frames = 42,
        },
        {.path = "/usr/lib/idle.so", .symbols = "none", .state = "not needed"},
    };
    struct diagnose_stack_end ends[] = {{"complete", 990}, {"the copied bytes ran out", 10}};
    struct diagnose_table tables[] = {
        {.path = "/usr/bin/x",
         .origin = ".eh_frame",
         .rows = 748,
         .memory_bytes = 6200,
         .build_ns = 250000,
         .cut_stacks = 10,
         .cut_cause = "the copied bytes ran out"},
        {.path = "/opt/odd", .origin = "none", .failure = "no unwind information"},
    };
    struct diagnose_result result = {
        .run = {.id = 1, .state = RUN_STATE_STOPPED, .sequence = 20000, .duration_ns = NS_PER_S},
        .backend = "b",
        .stacks = {.total = 1000, .complete = 990, .truncated = 8, .empty = 2},
        .n_counters = 2,
        .counters = counters,
        .n_lost = 2,
        .lost = lost,
        .unwind =
            {
                .enabled = true,
                .stacks = 1000,
                .frames = 12300,
                .n_ends = 2,
                .ends = ends,
                .n_tables = 2,
                .tables = tables,
            },
        .n_images = 2,
        .images = images,
        .n_hints = 1,
        .hints = (char *[]){"raise x"},
    };
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_diagnose(&result, &plain, &text);
    assert_string_equal(text.data, "run 1 (stopped, 1.00 s), 20000 events taken in\n"
                                   "capture  b\n"
                                   "stacks   1000: 990 complete (99.0 %), 8 truncated, 2 empty\n"
                                   "unwind   1000 stacks walked, 12.3 frames each; "
                                   "990: complete; 10: the copied bytes ran out\n"
                                   "lost     3: 3 ring full\n"
                                   "\nCounters\n"
                                   "value  unit     counter\n"
                                   "12345  records  capture.records_read\n"
                                   "    7           merge.held\n"
                                   "\nImages\n"
                                   "frames  functions  names from  state   image\n"
                                   "    42        100  .symtab     loaded  /usr/bin/x\n"
                                   "…1 more that no stack led through\n"
                                   "\nUnwind tables\n"
                                   "rows  KiB  built ms  waited ms  from                   "
                                   "cut stacks  mostly for                image\n"
                                   " 748    7       0.2        0.0  .eh_frame              "
                                   "        10  the copied bytes ran out  /usr/bin/x\n"
                                   "   0    0       0.0        0.0  no unwind information  "
                                   "         0                            /opt/odd\n"
                                   "\nHints\n"
                                   "- raise x\n");
}

static void nothing_is_not_a_division_by_zero(void **state)
{
    (void)state;
    struct diagnose_result result = {.run = {.id = 1}};
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_diagnose(&result, &plain, &text);
    assert_string_equal(text.data, "run 1 (recording, 0 ns), 0 events taken in\n"
                                   "stacks   0: 0 complete (0.0 %), 0 truncated, 0 empty\n"
                                   "unwind   off: stacks are what frame pointers tell\n"
                                   "lost     0\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_told),
        cmocka_unit_test(nothing_is_not_a_division_by_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
