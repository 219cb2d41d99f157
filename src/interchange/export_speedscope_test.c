/* SPDX-License-Identifier: MIT */
#include "interchange/export_test.h"

static const char *frame_name(const json_t *file, const json_t *number)
{
    const json_t *frames = json_object_get(json_object_get(file, "shared"), "frames");
    const json_t *frame = json_array_get(frames, (size_t)json_integer_value(number));
    assert_non_null(frame);
    return json_string_value(json_object_get(frame, "name"));
}

/* Weights of a profile; its samples name frames that there are. */
static uint64_t check_profile(const json_t *file, const json_t *profile)
{
    const json_t *samples = json_object_get(profile, "samples");
    const json_t *weights = json_object_get(profile, "weights");
    uint64_t sum = 0;
    size_t i, j;
    json_t *sample, *number;
    assert_string_equal(json_string_value(json_object_get(profile, "type")), "sampled");
    assert_string_equal(json_string_value(json_object_get(profile, "unit")), "nanoseconds");
    assert_int_equal(json_array_size(samples), json_array_size(weights));
    json_array_foreach(samples, i, sample)
    {
        assert_true(json_array_size(sample) > 0);
        json_array_foreach(sample, j, number)
        {
            assert_non_null(frame_name(file, number));
        }
        sum += (uint64_t)json_integer_value(json_array_get(weights, i));
    }
    assert_int_equal(json_integer_value(json_object_get(profile, "endValue")), sum);
    return sum;
}

static void each_thread_has_what_it_ran_and_where_it_waited(void **state)
{
    (void)state;
    struct scene scene;
    export_scene_small(&scene);
    json_t *file = export_read_json(&scene, EXPORT_FORMAT_SPEEDSCOPE);
    const json_t *profiles = json_object_get(file, "profiles");
    static const struct {
        const char *name, *innermost;
        uint64_t ns;
    } wanted[] = {
        {"main (100)", "hash_key", 160 * TEST_MS},
        {"sec;ond \"2\" (101)", "walk_tree", 100 * TEST_MS},
        {"main (100) off-CPU", "[off-CPU: ready]", 40 * TEST_MS},
        {"sec;ond \"2\" (101) off-CPU", "[off-CPU: idle]", 100 * TEST_MS},
    };
    assert_int_equal(json_array_size(profiles), 4);
    for (size_t i = 0; i < 4; i++) {
        const json_t *profile = json_array_get(profiles, i);
        assert_string_equal(json_string_value(json_object_get(profile, "name")), wanted[i].name);
        assert_int_equal(check_profile(file, profile), wanted[i].ns);
        const json_t *first = json_array_get(json_object_get(profile, "samples"), 0);
        const json_t *last = json_array_get(first, json_array_size(first) - 1);
        assert_string_equal(frame_name(file, last), wanted[i].innermost);
        assert_string_equal(frame_name(file, json_array_get(first, 0)), "run_worker");
    }
    json_decref(file);
    scene_end(&scene);
}

/* Few samples are in the order of time; of many equal ones are one. */
static void sums_do_not_depend_on_how_many_there_are(void **state)
{
    (void)state;
    static const unsigned int sizes[] = {10000, 600000};
    for (size_t i = 0; i < 2; i++) {
        struct scene scene;
        struct attribution attribution;
        uint64_t sum = 0;
        size_t j, n_samples = 0;
        json_t *profile;
        export_scene_random(&scene, sizes[i]);
        export_attribution(&scene, &attribution);
        json_t *file = export_read_json(&scene, EXPORT_FORMAT_SPEEDSCOPE);
        json_array_foreach(json_object_get(file, "profiles"), j, profile)
        {
            sum += check_profile(file, profile);
            n_samples += json_array_size(json_object_get(profile, "samples"));
        }
        assert_int_equal(sum, attribution.totals.cpu_ns + attribution.totals.off_cpu_ns);
        assert_true(i == 0 ? n_samples > 3000 : n_samples < 20000);
        json_decref(file);
        scene_end(&scene);
    }
}

static void a_run_without_time_has_a_profile(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    scene_freeze(&scene, TEST_MS);
    json_t *file = export_read_json(&scene, EXPORT_FORMAT_SPEEDSCOPE);
    assert_int_equal(json_array_size(json_object_get(file, "profiles")), 1);
    json_decref(file);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_thread_has_what_it_ran_and_where_it_waited),
        cmocka_unit_test(sums_do_not_depend_on_how_many_there_are),
        cmocka_unit_test(a_run_without_time_has_a_profile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
