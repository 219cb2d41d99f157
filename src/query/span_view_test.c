/* SPDX-License-Identifier: MIT */
#include "query/span_view.h"

#include <errno.h>

#include "query/span_test.h"

static struct span_view make(struct scene *scene, struct query_span_choice choice)
{
    struct span_view view;
    assert_int_equal(span_view_make(&scene->context, &choice, &view, &scene->error), 0);
    return view;
}

static int count_one(void *userdata, const struct stored_span *span)
{
    (void)span;
    ++*(size_t *)userdata;
    return 0;
}

static size_t count(const struct span_view *view)
{
    size_t n = 0;
    assert_int_equal(span_view_each(view, count_one, &n), 0);
    return n;
}

static void the_edges_of_a_range_are_half_open(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    span_test_tell_threads(scene.aggregate);
    span_test_tell_names(scene.aggregate);
    static const uint64_t spans[][2] = {{10, 20}, {20, 20}, {20, 30}, {30, 30}, {30, 40}, {5, 50}};
    for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
        span_test_tell(scene.aggregate,
                       (struct span_told){LANE_GPU, SPAN_KERNEL, spans[i][0], spans[i][1]});
    }
    span_test_end(&scene);
    scene.view = (struct view){.has_from = true, .from_ns = 20, .has_to = true, .to_ns = 30};
    struct span_view view = make(&scene, (struct query_span_choice){0});
    assert_int_equal(count(&view), 3); /* 20–20, 20–30, 5–50 */
    assert_int_equal(span_view_clip(&view, LANE_TEST_NS + 5, LANE_TEST_NS + 50), 10);
    assert_int_equal(span_view_clip(&view, LANE_TEST_NS + 25, LANE_TEST_NS + 50), 5);
    assert_int_equal(span_view_clip(&view, LANE_TEST_NS + 35, LANE_TEST_NS + 50), 0);
    scene.view = (struct view){0};
    view = make(&scene, (struct query_span_choice){0});
    assert_int_equal(count(&view), 6);
    assert_int_equal(span_view_clip(&view, LANE_TEST_NS + 5, LANE_TEST_NS + 50), 45);
    scene_end(&scene);
}

static void the_outermost_of_what_is_kept_counts(void **state)
{
    (void)state;
    struct scene scene;
    span_test_begin(&scene);
    struct span_view view = make(&scene, (struct query_span_choice){0});
    assert_true(span_view_is_outermost(&view, LANE_DECODER, SPAN_FRAME, STACK_ID_EMPTY));
    assert_false(span_view_is_outermost(&view, LANE_DECODER, SPAN_DECODE, STACK_ID_EMPTY));
    view = make(&scene, (struct query_span_choice){.name = "decode"});
    assert_false(span_view_keeps(&view, LANE_DECODER, SPAN_FRAME, STACK_ID_EMPTY));
    assert_true(span_view_keeps(&view, LANE_DECODER, SPAN_DECODE, STACK_ID_EMPTY));
    assert_true(span_view_is_outermost(&view, LANE_DECODER, SPAN_DECODE, STACK_ID_EMPTY));
    assert_false(span_view_keeps(&view, LANE_DECODER, 0, STACK_ID_EMPTY)); /* "(other)" */
    scene_end(&scene);
}

/* Outside of it an outer span takes no time away: not of a range, not of what a thread queued. */
static void outer_spans_are_those_of_the_view(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    span_test_tell_threads(scene.aggregate);
    span_test_tell_names(scene.aggregate);
    const struct span_told told[] = {
        {LANE_DECODER, SPAN_DECODE, 12, 18, TEST_PID, 5, 0, NULL},
        {LANE_DECODER, SPAN_FRAME, 10, 20},
        {LANE_DECODER, SPAN_DECODE, 32, 38, TEST_PID, 5, 0, NULL},
    };
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        span_test_tell(scene.aggregate, told[i]);
    }
    span_test_end(&scene);
    struct span_view view = make(&scene, (struct query_span_choice){0});
    assert_false(span_view_is_outermost(&view, LANE_DECODER, SPAN_DECODE, STACK_ID_EMPTY));
    scene.view = (struct view){.has_from = true, .from_ns = 5, .has_to = true, .to_ns = 25};
    view = make(&scene, (struct query_span_choice){0});
    assert_false(span_view_is_outermost(&view, LANE_DECODER, SPAN_DECODE, STACK_ID_EMPTY));
    scene.view = (struct view){.has_from = true, .from_ns = 30};
    view = make(&scene, (struct query_span_choice){0});
    assert_int_equal(count(&view), 1);
    assert_true(span_view_is_outermost(&view, LANE_DECODER, SPAN_DECODE, STACK_ID_EMPTY));
    int64_t tids[] = {TEST_PID, LANE_TID_FIRST + LANE_DECODER};
    scene.view = (struct view){.n_tids = 1, .tids = tids};
    view = make(&scene, (struct query_span_choice){0});
    assert_int_equal(count(&view), 2);
    assert_true(span_view_is_outermost(&view, LANE_DECODER, SPAN_DECODE, STACK_ID_EMPTY));
    scene.view = (struct view){.n_tids = 1, .tids = tids + 1};
    view = make(&scene, (struct query_span_choice){0});
    assert_false(span_view_is_outermost(&view, LANE_DECODER, SPAN_DECODE, STACK_ID_EMPTY));
    scene_end(&scene);
}

/* A thread that the run does not know has queued nothing, whatever the program says. */
static void origins_are_of_threads_of_the_run(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    span_test_tell_threads(scene.aggregate);
    span_test_tell_names(scene.aggregate);
    const struct span_told told[] = {
        {LANE_GPU, SPAN_KERNEL, 10, 20, TEST_PID, 5, 0, NULL},
        {LANE_GPU, SPAN_KERNEL, 10, 20, TEST_PID, 5, 9999, NULL}, /* of another process */
        {LANE_GPU, SPAN_KERNEL, 10, 20, 777, 5, 0, NULL},
        {LANE_GPU, SPAN_KERNEL, 10, 20, LANE_TID_FIRST, 5, 0, NULL},
    };
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        span_test_tell(scene.aggregate, told[i]);
    }
    span_test_end(&scene);
    int64_t tids[] = {TEST_PID};
    scene.view = (struct view){.n_tids = 1, .tids = tids};
    struct span_view view = make(&scene, (struct query_span_choice){0});
    assert_true(view.has_threads);
    assert_int_equal(count(&view), 1);
    scene_end(&scene);
}

/* While the run goes on the last origins are not known. */
static void pending_spans_are_counted_apart(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    span_test_tell_threads(scene.aggregate);
    span_test_tell_names(scene.aggregate);
    span_test_tell(scene.aggregate,
                   (struct span_told){LANE_GPU, SPAN_KERNEL, 97 * SPAN_MS, 98 * SPAN_MS, TEST_PID,
                                      98 * SPAN_MS, 0, NULL});
    scene_freeze(&scene, LANE_TEST_NS + 99 * SPAN_MS);
    struct span_view view = make(&scene, (struct query_span_choice){0});
    size_t n = 0;
    assert_int_equal(span_view_each_pending(&view, count_one, &n), 0);
    assert_int_equal(n, 1);
    const struct query_target_lanes_options options = {0};
    struct target_lanes_result result;
    assert_int_equal(query_target_lanes(&scene.context, &options, &result, &scene.error), 0);
    assert_int_equal(result.rows[0].spans, 1);
    assert_int_equal(result.rows[0].origins.pending, 1);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_edges_of_a_range_are_half_open),
        cmocka_unit_test(the_outermost_of_what_is_kept_counts),
        cmocka_unit_test(outer_spans_are_those_of_the_view),
        cmocka_unit_test(origins_are_of_threads_of_the_run),
        cmocka_unit_test(pending_spans_are_counted_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
