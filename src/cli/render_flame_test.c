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

static void the_tree_is_indented(void **state)
{
    (void)state;
    struct flame_node leaves[] = {
        {.name = "burn_half", .image = "bench", .active_ns = 500 * NS_PER_MS},
        {.name = "burn_third", .image = "bench", .active_ns = 300 * NS_PER_MS, .hidden_nodes = 12},
    };
    struct flame_node main_node = {
        .name = "main",
        .image = "bench",
        .active_ns = 990 * NS_PER_MS,
        .n_children = 2,
        .children = leaves,
        .hidden_nodes = 1,
    };
    struct flame_result result = {
        .run = {.id = 2, .state = RUN_STATE_STOPPED, .duration_ns = NS_PER_S},
        .view = {.to_ns = NS_PER_S},
        .totals = {.active_ns = NS_PER_S,
                   .target_ns = 5 * NS_PER_MS,
                   .off_cpu_ns = 250 * NS_PER_US},
        .root = {.name = "(all)",
                 .active_ns = NS_PER_S,
                 .target_ns = 5 * NS_PER_MS,
                 .spans = 7,
                 .n_children = 1,
                 .children = &main_node},
    };
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_flame(&result, &plain, &text);
    assert_string_equal(text.data,
                        "run 2 (stopped, 1.00 s): 1.00 s active, 5.00 ms target, 250 us off-CPU\n"
                        "active   target  spans      %  frame\n"
                        "1.00 s  5.00 ms      7  100.0  (all)\n"
                        "990 ms     0 ns      0   99.0    main (bench)\n"
                        "500 ms     0 ns      0   50.0      burn_half (bench)\n"
                        "300 ms     0 ns      0   30.0      burn_third (bench)\n"
                        "                                     …12 more frames\n"
                        "                                   …1 more frame\n");
}

static void an_empty_tree_is_only_a_head(void **state)
{
    (void)state;
    struct flame_result result = {.run = {.id = 2}, .root = {.name = "(all)"}};
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_flame(&result, &plain, &text);
    assert_string_equal(text.data,
                        "run 2 (recording, 0 ns): 0 ns active, 0 ns target, 0 ns off-CPU\n");
}

static void linked_work_is_marked(void **state)
{
    (void)state;
    struct flame_node kernel = {.name = "kernel",
                                .image = "[GPU 0]",
                                .kind = FRAME_KIND_TARGET,
                                .target_ns = 25 * NS_PER_MS,
                                .spans = 2,
                                .linked = true};
    struct flame_node waiting = {.name = "sync",
                                 .image = "bench",
                                 .active_ns = 10 * NS_PER_MS,
                                 .off_cpu_ns = 30 * NS_PER_MS,
                                 .n_children = 1,
                                 .children = &kernel};
    struct flame_result result = {
        .run = {.id = 2, .state = RUN_STATE_STOPPED, .duration_ns = NS_PER_S},
        .view = {.to_ns = NS_PER_S},
        .totals = {.active_ns = 10 * NS_PER_MS, .off_cpu_ns = 30 * NS_PER_MS},
        .root = {.name = "(all)",
                 .active_ns = 10 * NS_PER_MS,
                 .off_cpu_ns = 30 * NS_PER_MS,
                 .n_children = 1,
                 .children = &waiting},
    };
    static const char note[] = "(linked): work that ran in parallel, queued by these threads or "
                               "waited for here; its time is in no line above it\n";
    static const struct {
        enum view_mode mode;
        const char *line;
    } cases[] = {
        {VIEW_MODE_ACTIVE, "\n         25.0 ms      2             kernel ([GPU 0]) (linked)\n"},
        {VIEW_MODE_OFF_CPU, "\n     25.00             kernel ([GPU 0]) (linked)\n"},
        {VIEW_MODE_WALL,
         "\n                         25.00             kernel ([GPU 0]) (linked)\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        _cleanup_(text_releasep) struct text text;
        text_init(&text, 100000);
        result.mode = cases[i].mode;
        render_flame(&result, &plain, &text);
        if (!strstr(text.data, cases[i].line)) {
            fail_msg("%s", text.data);
        }
        assert_non_null(strstr(text.data, note));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tree_is_indented),
        cmocka_unit_test(an_empty_tree_is_only_a_head),
        cmocka_unit_test(linked_work_is_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
