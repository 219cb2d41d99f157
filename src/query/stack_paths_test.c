/* SPDX-License-Identifier: MIT */
#include "query/stack_paths.h"

#include <stdio.h>

#include "query/call_tree_test.h"
#include "query/stack_frames.h"

/* Written out, so that equal paths are equal texts. */
static void write_stack(const struct scene *scene, stack_id stack, char *text, size_t n_bytes)
{
    struct frame_result *frames;
    size_t n_frames, at = 0;
    assert_int_equal(frames_of_stack(&scene->context, stack, 0, &frames, &n_frames), 0);
    text[0] = '\0';
    for (size_t i = 0; i < n_frames; i++) {
        at += (size_t)snprintf(text + at, n_bytes - at, "%s%s;", frames[i].name,
                               frames[i].inlined ? "(i)" : "");
    }
}

static void stacks_of_the_same_functions_have_one_path(void **state)
{
    struct scene *scene = *state;
    uint32_t n_stacks = scene->snapshot->n_stacks;
    _cleanup_(stack_paths_releasep) struct stack_paths paths;
    assert_int_equal(stack_paths_init(&scene->context, &paths), 0);
    size_t n_equal = 0;
    for (stack_id a = 0; a < n_stacks; a++) {
        for (stack_id b = 0; b < a; b++) {
            char text_a[256], text_b[256];
            uint32_t path_a, path_b;
            write_stack(scene, a, text_a, sizeof(text_a));
            write_stack(scene, b, text_b, sizeof(text_b));
            assert_int_equal(stack_paths_get(&paths, a, &path_a), 0);
            assert_int_equal(stack_paths_get(&paths, b, &path_b), 0);
            assert_int_equal(path_a == path_b, strcmp(text_a, text_b) == 0);
            n_equal += path_a == path_b;
        }
    }
    assert_true(n_equal > 0); /* walk_tree and its caller, from several places */
}

static void deep_stacks_are_no_trouble(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    uint64_t ips[3000];
    for (size_t i = 0; i < COUNT(ips); i++) {
        ips[i] = place_in(i % 3 == 0 ? walk_tree : visit_node, 1);
    }
    tell_in(scene.aggregate, 1000, TEST_PID);
    tell_sample(scene.aggregate, 1100, TEST_PID, ips, COUNT(ips));
    scene_freeze(&scene, 2000);
    _cleanup_(stack_paths_releasep) struct stack_paths paths;
    assert_int_equal(stack_paths_init(&scene.context, &paths), 0);
    uint32_t path;
    assert_int_equal(stack_paths_get(&paths, scene.snapshot->n_stacks - 1, &path), 0);
    assert_int_equal(path, 3000);
    assert_int_equal(paths.n_paths, 3001);
    scene_end(&scene);
}

/* Callers with one child, several and none, each met from several places and in any order. */
static void wide_trees_are_told_apart(void **state)
{
    (void)state;
    void (*const functions[])(void) = {walk_tree, visit_node, hash_key, copy_bytes, run_worker};
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_in(scene.aggregate, 1000, TEST_PID);
    uint64_t random = 1;
    for (uint64_t sample = 0; sample < 60; sample++) {
        uint64_t ips[4];
        for (size_t i = 0; i < COUNT(ips); i++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
            ips[i] = place_in(functions[(random >> 40) % COUNT(functions)], (random >> 50) % 2);
        }
        tell_sample(scene.aggregate, 1100 + sample, TEST_PID, ips, 1 + sample % COUNT(ips));
    }
    scene_freeze(&scene, 2000);
    query_names_settle_chains(scene.names, scene.snapshot, 20000);
    _cleanup_(stack_paths_releasep) struct stack_paths paths;
    assert_int_equal(stack_paths_init(&scene.context, &paths), 0);
    uint32_t n_stacks = scene.snapshot->n_stacks, numbers[300];
    static char texts[300][256];
    assert_in_range(n_stacks, 50, 300);
    for (stack_id i = 0; i < n_stacks; i++) {
        stack_id stack = n_stacks - 1 - i;
        write_stack(&scene, stack, texts[stack], sizeof(texts[stack]));
        assert_int_equal(stack_paths_get(&paths, stack, &numbers[stack]), 0);
    }
    size_t n_equal = 0;
    for (stack_id a = 0; a < n_stacks; a++) {
        uint32_t again;
        assert_int_equal(stack_paths_get(&paths, a, &again), 0);
        assert_int_equal(again, numbers[a]);
        for (stack_id b = 0; b < a; b++) {
            assert_int_equal(numbers[a] == numbers[b], strcmp(texts[a], texts[b]) == 0);
            n_equal += numbers[a] == numbers[b];
        }
    }
    assert_true(n_equal > 0);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stacks_of_the_same_functions_have_one_path, begin_inlined,
                                        end_inlined),
        cmocka_unit_test(deep_stacks_are_no_trouble),
        cmocka_unit_test(wide_trees_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
