/* SPDX-License-Identifier: MIT */
#include "query/query_test.h"

#include <errno.h>

#include "query/shown_stacks.h"

static stack_id stack_of_sample(const struct scene *scene, uint64_t index)
{
    return snapshot_sample(scene->snapshot, index)->stack;
}

static void stacks_are_made_once(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    const uint64_t ips[] = {place_in(hash_key, 1), place_in(walk_tree, 2), place_in(run_worker, 3)};
    tell_in(scene.aggregate, 1000, TEST_PID);
    tell_sample(scene.aggregate, 1100, TEST_PID, ips, 3);
    tell_sample(scene.aggregate, 1200, TEST_PID, ips + 1, 2);
    tell_out(scene.aggregate, 1300, TEST_PID, false);
    scene_freeze(&scene, 2000);

    _cleanup_(shown_stacks_releasep) struct shown_stacks stacks;
    shown_stacks_init(&scene.context, 0, &stacks);
    struct shown_stack first, again, second, none;
    assert_int_equal(shown_stacks_get(&stacks, stack_of_sample(&scene, 0), &first), 0);
    assert_int_equal(shown_stacks_get(&stacks, stack_of_sample(&scene, 1), &second), 0);
    assert_int_equal(shown_stacks_get(&stacks, stack_of_sample(&scene, 0), &again), 0);
    assert_ptr_equal(first.frames, again.frames);
    assert_int_equal(first.n_frames, 3);
    assert_string_equal(first.frames[0].name, "hash_key");
    assert_string_equal(first.frames[2].name, "run_worker");
    assert_int_equal(second.n_frames, 2);
    assert_string_equal(second.frames[0].name, "walk_tree");
    assert_int_equal(shown_stacks_get(&stacks, STACK_ID_EMPTY, &none), 0);
    assert_int_equal(none.n_frames, 0);
    scene_end(&scene);
}

static void the_innermost_frames_are_kept(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    const uint64_t ips[] = {place_in(hash_key, 1), place_in(walk_tree, 2), place_in(run_worker, 3)};
    tell_in(scene.aggregate, 1000, TEST_PID);
    tell_sample(scene.aggregate, 1100, TEST_PID, ips, 3);
    scene_freeze(&scene, 2000);
    _cleanup_(shown_stacks_releasep) struct shown_stacks stacks;
    shown_stacks_init(&scene.context, 2, &stacks);
    struct shown_stack shown;
    assert_int_equal(shown_stacks_get(&stacks, stack_of_sample(&scene, 0), &shown), 0);
    assert_int_equal(shown.n_frames, 2);
    assert_string_equal(shown.frames[1].name, "walk_tree");
    scene_end(&scene);
}

static void many_stacks_and_too_little_memory(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    struct random_life life = {.state = 3, .n_threads = 4, .sample_pct = 60, .has_switches = true};
    random_life_play(&life, scene.aggregate, 3000);
    scene_freeze(&scene, life.now_ns);
    _cleanup_(shown_stacks_releasep) struct shown_stacks stacks;
    shown_stacks_init(&scene.context, 0, &stacks);
    assert_true(scene.snapshot->n_stacks > 200);
    for (int round = 0; round < 2; round++) {
        for (stack_id id = 0; id < scene.snapshot->n_stacks; id++) {
            struct shown_stack shown;
            assert_int_equal(shown_stacks_get(&stacks, id, &shown), 0);
            assert_int_equal(shown.n_frames, stack_frames_count(&scene.context, id));
        }
    }
    assert_int_equal(stacks.n_stacks, scene.snapshot->n_stacks);
    scene_ask_anew(&scene);
    scene.arena.max_bytes = 16;
    _cleanup_(shown_stacks_releasep) struct shown_stacks small;
    shown_stacks_init(&scene.context, 0, &small);
    struct shown_stack shown;
    assert_int_equal(shown_stacks_get(&small, scene.snapshot->n_stacks - 1, &shown), -ENOMEM);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stacks_are_made_once),
        cmocka_unit_test(the_innermost_frames_are_kept),
        cmocka_unit_test(many_stacks_and_too_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
