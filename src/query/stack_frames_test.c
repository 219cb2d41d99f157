/* SPDX-License-Identifier: MIT */
#include "query/stack_frames.h"

#include "query/call_tree_test.h"

/* A sample's stack that has this many frames when inlined functions count. */
static stack_id find_stack(const struct scene *scene, size_t n_frames)
{
    for (stack_id id = 1; id < scene->snapshot->n_stacks; id++) {
        if (stack_frames_count(&scene->context, id) == n_frames) {
            return id;
        }
    }
    fail_msg("no stack of %zu frames", n_frames);
    return 0;
}

static void inlined_functions_are_frames(void **state)
{
    struct scene *scene = *state;
    struct frame_result *frames;
    size_t n_frames;
    stack_id stack = find_stack(scene, 5); /* run_worker, walk_tree, hash_key, round_of, mix */
    assert_int_equal(frames_of_stack(&scene->context, stack, 0, &frames, &n_frames), 0);
    static const char *const names[] = {"mix", "round_of", "hash_key", "walk_tree", "run_worker"};
    assert_int_equal(n_frames, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(frames[i].name, names[i]);
        assert_int_equal(frames[i].inlined, i < 2);
        assert_int_equal(frames[i].kind, FRAME_KIND_USER);
    }
    assert_null(frames[0].address);
    assert_string_equal(frames[0].file, "/src/lib/mix.h");
    assert_int_equal(frames[0].line, 7);
    assert_int_equal(strncmp(frames[2].address, "0x", 2), 0);
    assert_string_equal(frames[2].file, "/src/app/hash.c");
    assert_null(frames[4].file);
    assert_int_equal(frames[4].line, 0);
}

static void the_innermost_frames_are_kept(void **state)
{
    struct scene *scene = *state;
    struct frame_result *frames;
    size_t n_frames;
    stack_id stack = find_stack(scene, 5);
    assert_int_equal(frames_of_stack(&scene->context, stack, 2, &frames, &n_frames), 0);
    assert_int_equal(n_frames, 2);
    assert_string_equal(frames[1].name, "round_of");
    assert_int_equal(frames_of_stack(&scene->context, STACK_ID_EMPTY, 2, &frames, &n_frames), 0);
    assert_int_equal(n_frames, 0);
    assert_int_equal(stack_frames_count(&scene->context, STACK_ID_EMPTY), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(inlined_functions_are_frames, begin_inlined, end_inlined),
        cmocka_unit_test_setup_teardown(the_innermost_frames_are_kept, begin_inlined, end_inlined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
