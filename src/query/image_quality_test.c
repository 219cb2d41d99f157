/* SPDX-License-Identifier: MIT */
#include "query/query_test.h"

#include <string.h>

#include "query/image_quality.h"

static void samples_are_counted_by_file_and_by_name(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_mapped(scene.aggregate, 2, 0x400000, 0x500000, 0, "/no/such/file.so");
    const uint64_t named[] = {place_in(hash_key, 1), 0x400100};
    const uint64_t nameless[] = {0x400200, place_in(hash_key, 1)};
    tell_in(scene.aggregate, 1000, TEST_PID);
    for (uint64_t i = 0; i < 10; i++) {
        tell_sample(scene.aggregate, 1001 + i, TEST_PID, i < 7 ? named : nameless, 2);
    }
    tell_out(scene.aggregate, 2000, TEST_PID, false);
    scene_freeze(&scene, 2500);
    struct image_quality *qualities;
    assert_int_equal(image_quality_compute(scene.snapshot, scene.names, &scene.arena, &qualities),
                     0);
    uint64_t n_samples = 0, n_named = 0;
    for (image_id id = 0; id < scene.snapshot->n_images; id++) {
        const struct image *image = snapshot_image(scene.snapshot, id);
        if (strcmp(image->path, "/no/such/file.so") == 0) {
            assert_int_equal(qualities[id].n_samples, 3);
            assert_int_equal(qualities[id].n_named, 0);
        } else if (qualities[id].n_samples > 0) {
            assert_int_equal(qualities[id].n_samples, 7);
            assert_int_equal(qualities[id].n_named, 7);
        }
        n_samples += qualities[id].n_samples;
        n_named += qualities[id].n_named;
    }
    assert_int_equal(n_samples, 10);
    assert_int_equal(n_named, 7);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_counted_by_file_and_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
