/* SPDX-License-Identifier: MIT */
#include "interchange/export_test.h"

static void boxes_have_titles_and_escaped_names(void **state)
{
    (void)state;
    struct scene scene;
    size_t n_bytes;
    export_scene_small(&scene);
    _cleanup_(freep) char *svg = export_read(&scene, EXPORT_FORMAT_SVG, &n_bytes);
    assert_non_null(strstr(svg, "<title>./worker --mode &quot;&lt;fast&gt;&quot;</title>"));
    assert_non_null(strstr(svg, ": 200 ms, 76.92 %, 180 samples</title>"));
    assert_non_null(strstr(svg, "<title>copy_bytes ("));
    assert_non_null(strstr(svg, ": 60 ms, 23.08 %, 60 samples</title>"));
    assert_null(strstr(svg, "<script"));
    assert_null(strstr(svg, "<fast>"));
    scene_end(&scene);
}

static void the_mode_decides_which_time(void **state)
{
    (void)state;
    struct scene scene;
    size_t n_bytes;
    export_scene_small(&scene);
    scene.view.mode = VIEW_MODE_OFF_CPU;
    _cleanup_(freep) char *svg = export_read(&scene, EXPORT_FORMAT_SVG, &n_bytes);
    assert_non_null(strstr(svg, "<title>epoll_wait ("));
    assert_non_null(strstr(svg, ": 40 ms, 28.57 %</title>"));
    assert_null(strstr(svg, "<title>hash_key"));
    scene_end(&scene);
}

static void a_view_without_time_says_why(void **state)
{
    (void)state;
    struct scene scene;
    size_t n_bytes;
    scene_begin(&scene, false, false);
    scene_freeze(&scene, TEST_MS);
    _cleanup_(freep) char *svg = export_read(&scene, EXPORT_FORMAT_SVG, &n_bytes);
    assert_non_null(strstr(svg, "this run holds no samples"));
    assert_non_null(strstr(svg, "</svg>"));
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boxes_have_titles_and_escaped_names),
        cmocka_unit_test(the_mode_decides_which_time),
        cmocka_unit_test(a_view_without_time_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
