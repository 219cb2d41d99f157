/* SPDX-License-Identifier: MIT */
#include "interchange/export_frames.h"

#include "interchange/export_test.h"

static void a_path_goes_from_the_outermost_to_the_innermost(void **state)
{
    (void)state;
    struct scene scene;
    struct export_frames frames;
    const uint32_t *path;
    size_t n_path, n_deepest = 0;
    export_scene_small(&scene);
    assert_int_equal(export_frames_init(&scene.context, &frames), 0);
    for (stack_id id = 1; id < scene.snapshot->n_stacks; id++) {
        assert_int_equal(export_frames_load(&frames, id), 0);
        uint32_t n_places = frames.n_places;
        assert_int_equal(export_frames_path(&frames, id, &path, &n_path), 0);
        assert_int_equal(frames.n_places, n_places);
        frame_id innermost = snapshot_stack(scene.snapshot, id).frame;
        const struct symbol *symbol = query_names_find(scene.names, scene.snapshot, innermost);
        const struct export_function *function = export_frames_function(&frames, path[n_path - 1]);
        assert_string_equal(function->name, symbol->name);
        assert_int_equal(function->address, symbol->start_address);
        if (symbol->kind == FRAME_KIND_USER) {
            assert_string_equal(export_frames_function(&frames, path[0])->name, "run_worker");
            assert_int_equal(function->kind, EXPORT_KIND_USER);
        }
        n_deepest = n_path > n_deepest ? n_path : n_deepest;
    }
    assert_int_equal(n_deepest, 4); /* the wait in the kernel below two calls */
    assert_int_equal(export_frames_path(&frames, STACK_ID_EMPTY, &path, &n_path), 0);
    assert_int_equal(n_path, 0);
    export_frames_release(&frames);
    scene_end(&scene);
}

static void a_function_is_one_however_many_places_it_has(void **state)
{
    (void)state;
    struct scene scene;
    struct export_frames frames;
    size_t n_named = 0;
    export_scene_small(&scene);
    assert_int_equal(export_frames_init(&scene.context, &frames), 0);
    for (stack_id id = 1; id < scene.snapshot->n_stacks; id++) {
        assert_int_equal(export_frames_load(&frames, id), 0);
    }
    for (uint32_t i = 0; i < frames.n_functions; i++) {
        n_named += strcmp(frames.functions[i].name, "run_worker") == 0;
    }
    assert_int_equal(n_named, 1);
    export_frames_release(&frames);
    scene_end(&scene);
}

static void what_has_no_code_has_a_place(void **state)
{
    (void)state;
    struct scene scene;
    struct export_frames frames;
    scene_begin(&scene, false, false);
    scene_freeze(&scene, TEST_MS);
    assert_int_equal(export_frames_init(&scene.context, &frames), 0);
    const struct export_function *lock =
        export_frames_function(&frames, frames.off_cpu[WAIT_REASON_LOCK]);
    assert_string_equal(lock->name, "[off-CPU: lock]");
    assert_int_equal(lock->kind, EXPORT_KIND_OFF_CPU);
    assert_string_equal(export_frames_function(&frames, frames.no_stack)->name, "(no stack)");
    for (size_t i = 0; i < WAIT_REASON_N; i++) {
        const char *name = export_frames_function(&frames, frames.off_cpu[i])->name;
        assert_non_null(strstr(name, wait_reason_name((enum wait_reason)i)));
    }
    for (size_t i = 0; i < EXPORT_KIND_N; i++) {
        assert_true(export_kind_name((enum export_kind)i)[0] != '\0');
    }
    export_frames_release(&frames);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_goes_from_the_outermost_to_the_innermost),
        cmocka_unit_test(a_function_is_one_however_many_places_it_has),
        cmocka_unit_test(what_has_no_code_has_a_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
