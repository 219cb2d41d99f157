/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "query/span_test.h"

static struct target_lanes_result ask(struct scene *scene,
                                      struct query_target_lanes_options options)
{
    struct target_lanes_result result;
    assert_int_equal(query_target_lanes(&scene->context, &options, &result, &scene->error), 0);
    return result;
}

static void lanes_have_their_figures(void **state)
{
    (void)state;
    struct scene scene;
    span_test_begin(&scene);
    struct target_lanes_result result = ask(&scene, (struct query_target_lanes_options){0});
    assert_int_equal(result.lanes, 2);
    assert_int_equal(result.n_rows, 2);
    assert_int_equal(result.spans, 7);
    assert_int_equal(result.target_ns, 61 * SPAN_MS);
    assert_null(result.hint);
    const struct target_lane_row *gpu = &result.rows[0], *decoder = &result.rows[1];
    assert_string_equal(gpu->name, "GPU 0");
    assert_int_equal(gpu->tid, LANE_TID_FIRST + LANE_GPU);
    assert_int_equal(gpu->pid, TEST_PID);
    assert_int_equal(gpu->kind, LANE_KIND_GPU);
    assert_int_equal(gpu->spans, 3);
    assert_int_equal(gpu->names, 1);
    assert_int_equal(gpu->total_ns, 36 * SPAN_MS);
    assert_true(gpu->load > 0.359 && gpu->load < 0.361);
    assert_int_equal(gpu->first_ns, 10 * SPAN_MS);
    assert_int_equal(gpu->last_ns, 51 * SPAN_MS);
    assert_int_equal(gpu->waits, 1);
    assert_int_equal(gpu->waited_ns, 8 * SPAN_MS);
    assert_int_equal(gpu->origins.linked, 2);
    assert_int_equal(gpu->origins.missing, 1);
    assert_int_equal(decoder->spans, 4);
    assert_int_equal(decoder->names, 3);
    assert_int_equal(decoder->total_ns, 25 * SPAN_MS); /* of frames; what is inside is in them */
    assert_int_equal(decoder->origins.linked, 3);
    assert_int_equal(decoder->origins.too_far, 1);
    assert_int_equal(ask(&scene, (struct query_target_lanes_options){.limit = 1}).n_rows, 1);
    scene_end(&scene);
}

static void views_restrict_lanes(void **state)
{
    (void)state;
    struct scene scene;
    span_test_begin(&scene);
    scene.view = (struct view){
        .has_from = true, .from_ns = 12 * SPAN_MS, .has_to = true, .to_ns = 22 * SPAN_MS};
    struct target_lanes_result result = ask(&scene, (struct query_target_lanes_options){0});
    assert_int_equal(result.lanes, 2);
    assert_int_equal(result.rows[0].total_ns, 15 * SPAN_MS);
    assert_true(result.rows[0].load == 1.5); /* two at a time */
    assert_int_equal(result.rows[0].first_ns, 10 * SPAN_MS);
    assert_int_equal(result.rows[0].last_ns, 40 * SPAN_MS);
    assert_int_equal(result.rows[0].origins.linked, 2);
    assert_int_equal(result.rows[1].total_ns, 10 * SPAN_MS);
    scene.view = (struct view){.has_from = true, .from_ns = 60 * SPAN_MS};
    result = ask(&scene, (struct query_target_lanes_options){0});
    assert_int_equal(result.lanes, 1);
    assert_string_equal(result.rows[0].name, "decoder");

    scene.view = (struct view){0};
    result = ask(&scene, (struct query_target_lanes_options){.choice = {.name = "filter"}});
    assert_int_equal(result.lanes, 1);
    assert_int_equal(result.rows[0].total_ns, 8 * SPAN_MS);
    assert_int_equal(result.rows[0].first_ns, 20 * SPAN_MS);
    assert_int_equal(result.rows[0].last_ns, 28 * SPAN_MS);
    assert_int_equal(result.rows[0].origins.linked, 1);
    int64_t main_thread[] = {TEST_PID};
    scene.view = (struct view){.n_tids = 1, .tids = main_thread};
    result = ask(&scene, (struct query_target_lanes_options){0});
    assert_int_equal(result.lanes, 1);
    assert_int_equal(result.rows[0].spans, 2);
    assert_int_equal(result.rows[0].last_ns, 40 * SPAN_MS);
    scene_end(&scene);
}

static void a_lane_without_spans_is_a_lane(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    span_test_tell_threads(scene.aggregate);
    span_test_tell_names(scene.aggregate);
    span_test_end(&scene);
    struct target_lanes_result result = ask(&scene, (struct query_target_lanes_options){0});
    assert_int_equal(result.lanes, 2);
    assert_string_equal(result.rows[0].name, "GPU 0"); /* in the order of their names */
    assert_int_equal(result.rows[0].first_ns, 0);
    assert_non_null(strstr(result.hint, "no span has ended"));
    scene_end(&scene);
}

static void too_little_memory_is_told(void **state)
{
    (void)state;
    struct scene scene;
    span_test_begin(&scene);
    const struct query_target_lanes_options options = {0};
    struct target_lanes_result result;
    for (size_t limit = 16; limit <= 256; limit *= 2) {
        scene_ask_anew(&scene);
        scene.arena.max_bytes = limit;
        assert_int_equal(query_target_lanes(&scene.context, &options, &result, &scene.error),
                         -ENOMEM);
    }
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_have_their_figures),
        cmocka_unit_test(views_restrict_lanes),
        cmocka_unit_test(a_lane_without_spans_is_a_lane),
        cmocka_unit_test(too_little_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
