/* SPDX-License-Identifier: MIT */
#include "query/dispatch_hint.h"

#include <string.h>

#include "query/lane_test.h"

/* Stands for CUDA's function of this name. */
TEST_FUNCTION(cudaLaunchKernel)

static void functions_that_queue_work_are_known(void **state)
{
    (void)state;
    static const char *const are[] = {
        "cuLaunchKernel",     "cuLaunchKernelEx",       "cudaLaunchKernel_ptsz",
        "cuGraphLaunch",      "hipModuleLaunchKernel",  "vkQueueSubmit",
        "vkQueueSubmit2KHR",  "clEnqueueNDRangeKernel", "-[MTLIOAccelCommandBuffer commit]",
        "hipLaunchKernel_spt"};
    for (size_t i = 0; i < sizeof(are) / sizeof(*are); i++) {
        assert_true(dispatch_hint_is_dispatch(are[i]));
    }
    static const char *const are_not[] = {"main",
                                          "launch",
                                          "my_cuLaunchKernel",
                                          "",
                                          "vkQueueWaitIdle",
                                          "-[NSDocument commit]",
                                          "commit",
                                          "CommandBuffer commit"};
    for (size_t i = 0; i < sizeof(are_not) / sizeof(*are_not); i++) {
        assert_false(dispatch_hint_is_dispatch(are_not[i]));
    }
}

static void tell_launch(struct scene *scene, bool has_lane)
{
    const uint64_t ips[] = {place_in(cudaLaunchKernel, 1), place_in(run_worker, 1)};
    scene_begin(scene, true, false);
    tell_in(scene->aggregate, LANE_TEST_NS, TEST_PID);
    tell_sample(scene->aggregate, LANE_TEST_NS + 10, TEST_PID, ips, 2);
    if (has_lane) {
        lane_test_tell_lane(scene->aggregate, 0, LANE_KIND_CUDA, "stream 7");
    }
    scene_freeze(scene, LANE_TEST_NS + 100);
}

static void one_hint_says_how_to_see_that_work(void **state)
{
    (void)state;
    for (int has_lane = 0; has_lane < 2; has_lane++) {
        struct scene scene;
        const struct query_top_options by_self = {.sort = TOP_SORT_SELF};
        const struct query_flame_options all = {0};
        struct top_result top;
        struct flame_result flame;
        tell_launch(&scene, has_lane);
        assert_int_equal(query_top(&scene.context, &by_self, &top, &scene.error), 0);
        assert_int_equal(query_flame(&scene.context, &all, &flame, &scene.error), 0);
        if (has_lane) {
            assert_null(top.hint);
            assert_null(flame.hint);
        } else {
            assert_non_null(strstr(top.hint, "cudaLaunchKernel"));
            assert_non_null(strstr(top.hint, "--spans nvtx"));
            assert_non_null(strstr(flame.hint, "libstax-target"));
        }
        scene_end(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_that_queue_work_are_known),
        cmocka_unit_test(one_hint_says_how_to_see_that_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
