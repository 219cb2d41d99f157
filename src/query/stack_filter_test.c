/* SPDX-License-Identifier: MIT */
#include "query/stack_filter.h"

#include <errno.h>

#include "query/call_tree_test.h"
#include "query/stack_frames.h"

static bool has_function(struct scene *scene, stack_id stack, const char *name)
{
    struct frame_result *frames;
    size_t n_frames;
    assert_int_equal(frames_of_stack(&scene->context, stack, 0, &frames, &n_frames), 0);
    for (size_t i = 0; i < n_frames; i++) {
        if (strcmp(frames[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void a_view_without_patterns_leaves_all(void **state)
{
    struct scene *scene = *state;
    const uint8_t *is_kept = (const uint8_t *)"x";
    scene_ask_anew(scene);
    assert_int_equal(stack_filter_make(&scene->context, &is_kept, &scene->error), 0);
    assert_null(is_kept);
}

static void patterns_choose_by_any_frame(void **state)
{
    struct scene *scene = *state;
    char *focus[] = {(char[]){"round_of"}}, *exclude[] = {(char[]){"/^mix$/"}};
    const uint8_t *is_kept = NULL;
    size_t n_kept = 0;
    scene_ask_anew(scene);
    scene->view = (struct view){.n_focus = 1, .focus = focus, .n_exclude = 1, .exclude = exclude};
    assert_int_equal(stack_filter_make(&scene->context, &is_kept, &scene->error), 0);
    for (stack_id id = 0; id < scene->snapshot->n_stacks; id++) {
        bool is_wanted = has_function(scene, id, "round_of") && !has_function(scene, id, "mix");
        assert_int_equal(is_kept[id], is_wanted);
        n_kept += is_kept[id];
    }
    assert_true(n_kept > 0);
    assert_false(is_kept[STACK_ID_EMPTY]);

    scene->view.n_focus = 0;
    assert_int_equal(stack_filter_make(&scene->context, &is_kept, &scene->error), 0);
    assert_true(is_kept[STACK_ID_EMPTY]);
}

static void bad_patterns_are_told(void **state)
{
    struct scene *scene = *state;
    char *focus[] = {(char[]){"/(/"}};
    const uint8_t *is_kept = NULL;
    scene_ask_anew(scene);
    scene->view = (struct view){.n_focus = 1, .focus = focus};
    assert_int_equal(stack_filter_make(&scene->context, &is_kept, &scene->error), -EINVAL);
    assert_non_null(strstr(scene->error.message, "("));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_view_without_patterns_leaves_all, begin_inlined,
                                        end_inlined),
        cmocka_unit_test_setup_teardown(patterns_choose_by_any_frame, begin_inlined, end_inlined),
        cmocka_unit_test_setup_teardown(bad_patterns_are_told, begin_inlined, end_inlined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
