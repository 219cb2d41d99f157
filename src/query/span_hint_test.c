/* SPDX-License-Identifier: MIT */
#include "query/span_hint.h"

#include "query/span_test.h"

static const char *hint_of(struct scene *scene, struct query_span_sources sources)
{
    const struct query_span_choice all = {0};
    struct span_view view;
    assert_int_equal(span_view_make(&scene->context, &all, &view, &scene->error), 0);
    return span_hint(&view, &sources, 0, false);
}

static void an_empty_view_says_what_to_do(void **state)
{
    (void)state;
    const struct query_span_sources unknown = {0};
    const struct query_span_sources none = {.is_known = true};
    const struct query_span_sources one = {.is_known = true, .n_connected = 1};
    struct scene scene;
    scene_begin(&scene, false, false);
    span_test_tell_threads(scene.aggregate);
    scene_freeze(&scene, LANE_TEST_NS + 10);
    assert_non_null(strstr(hint_of(&scene, unknown), "link libstax-target"));
    assert_non_null(strstr(hint_of(&scene, none), "--spans nvtx,itt"));
    assert_non_null(strstr(hint_of(&scene, one), "is connected"));
    const struct query_span_sources child = {.is_known = true, .n_children = 1};
    const struct query_span_sources children = {.is_known = true, .n_children = 2};
    assert_non_null(strstr(hint_of(&scene, child), "1 program that reports spans is a child of"));
    assert_non_null(strstr(hint_of(&scene, children), "2 programs that report spans are children"));
    assert_non_null(strstr(hint_of(&scene, children), "record --children"));

    span_test_tell_names(scene.aggregate);
    scene_freeze(&scene, LANE_TEST_NS + 20);
    assert_non_null(strstr(hint_of(&scene, one), "no span has ended"));

    tell(scene.aggregate, (struct event){.kind = EVENT_SPANS_LOST,
                                         .time_ns = LANE_TEST_NS + 20,
                                         .spans_lost = {EVENT_SPANS_LOST_BAD_DURATION, 3}});
    scene_freeze(&scene, LANE_TEST_NS + 30);
    assert_non_null(strstr(hint_of(&scene, one), "all 3 spans"));
    assert_non_null(strstr(hint_of(&scene, one), "stax diagnose"));
    scene_end(&scene);
}

static void what_restricts_a_view_is_said(void **state)
{
    (void)state;
    const struct query_span_sources unknown = {0};
    struct scene scene;
    span_test_begin(&scene);
    scene.view = (struct view){.has_from = true, .from_ns = 1};
    assert_non_null(strstr(hint_of(&scene, unknown), "in this range"));
    int64_t tids[] = {SPAN_IDLE_TID};
    scene.view = (struct view){.n_tids = 1, .tids = tids};
    assert_non_null(strstr(hint_of(&scene, unknown), "none of these threads"));
    char frame[] = "nothing", *patterns[] = {frame};
    scene.view = (struct view){.n_focus = 1, .focus = patterns};
    assert_non_null(strstr(hint_of(&scene, unknown), "no span is like that"));

    const struct query_span_choice all = {0};
    struct span_view view;
    assert_int_equal(span_view_make(&scene.context, &all, &view, &scene.error), 0);
    assert_null(span_hint(&view, &unknown, 1, false));
    assert_non_null(strstr(span_hint(&view, &unknown, 1, true), "--max-memory"));
    assert_non_null(strstr(span_hint(&view, &unknown, 0, true), "are gone"));
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_view_says_what_to_do),
        cmocka_unit_test(what_restricts_a_view_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
