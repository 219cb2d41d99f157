/* SPDX-License-Identifier: MIT */
#include "query/query_test.h"

#include <errno.h>

#include "query/hot_place.h"

static void tell_n(struct scene *scene, uint64_t *at_ns, int64_t tid, int n, uint64_t ip,
                   uint64_t caller_ip)
{
    const uint64_t ips[] = {ip, caller_ip};
    for (int i = 0; i < n; i++) {
        tell_sample(scene->aggregate, (*at_ns)++, tid, ips, 2);
    }
}

/*
 * From 1000 on: walk_tree 3 times from one caller, hash_key twice from each of
 * two, from 2000 on copy_bytes once, and a sample without a stack.
 */
static void tell_places(struct scene *scene)
{
    uint64_t at_ns = 1000;
    tell_in(scene->aggregate, 900, TEST_PID);
    tell_in(scene->aggregate, 900, 2);
    tell_n(scene, &at_ns, TEST_PID, 3, place_in(walk_tree, 1), place_in(run_worker, 1));
    tell_n(scene, &at_ns, TEST_PID, 2, place_in(hash_key, 1), place_in(run_worker, 2));
    tell_n(scene, &at_ns, 2, 9, place_in(visit_node, 1), place_in(run_worker, 3));
    tell_n(scene, &at_ns, TEST_PID, 2, place_in(hash_key, 1), place_in(run_worker, 4));
    at_ns = 2000;
    tell_n(scene, &at_ns, TEST_PID, 1, place_in(copy_bytes, 1), place_in(run_worker, 1));
    tell_sample(scene->aggregate, 2500, TEST_PID, NULL, 0);
    scene_freeze(scene, 4000);
}

static void the_function_that_was_met_most_is_found(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_places(&scene);
    _cleanup_(hot_places_releasep) struct hot_places places;
    struct hot_place place;
    hot_places_init(&scene.context, 4000, &places);
    /* From the last to the first, as a path is walked. */
    assert_int_equal(hot_places_find(&places, 0, 2500, 4000, &place), 0);
    assert_int_equal(place.n_samples, 1);
    assert_null(place.symbol);
    assert_int_equal(place.stack, STACK_ID_EMPTY);
    assert_int_equal(hot_places_find(&places, 0, 2000, 2500, &place), 0);
    assert_int_equal(place.n_samples, 1);
    assert_string_equal(place.symbol->name, "copy_bytes");
    assert_int_equal(hot_places_find(&places, 0, 1500, 2000, &place), 0);
    assert_int_equal(place.n_samples, 0);
    assert_null(place.symbol);
    /* hash_key was met 4 times, though walk_tree has the most frequent stack. */
    assert_int_equal(hot_places_find(&places, 0, 1000, 1500, &place), 0);
    assert_int_equal(place.n_samples, 7);
    assert_string_equal(place.symbol->name, "hash_key");
    assert_true(scene_stack_has(&scene, place.stack, place.symbol));
    scene_end(&scene);
}

static void what_lies_behind_the_range_is_not_read(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_places(&scene);
    _cleanup_(hot_places_releasep) struct hot_places places;
    struct hot_place place;
    hot_places_init(&scene.context, 1003, &places);
    assert_int_equal(hot_places_find(&places, 0, 0, 1003, &place), 0);
    assert_int_equal(place.n_samples, 3);
    assert_string_equal(place.symbol->name, "walk_tree");
    hot_places_release(&places);
    hot_places_init(&scene.context, 4000, &places);
    assert_int_equal(hot_places_find(&places, 1, 0, 4000, &place), 0);
    assert_int_equal(place.n_samples, 9);
    assert_string_equal(place.symbol->name, "visit_node");
    scene_end(&scene);
}

/* Pieces of any length have all samples between them. */
static void pieces_have_every_sample_once(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    struct random_life life = {.state = 8, .n_threads = 4, .sample_pct = 60, .has_switches = true};
    random_life_play(&life, scene.aggregate, 20000);
    scene_freeze(&scene, life.now_ns);
    for (int round = 0; round < 3; round++) {
        _cleanup_(hot_places_releasep) struct hot_places places;
        struct hot_place place;
        uint64_t n_samples = 0, end_ns = life.now_ns + 1;
        hot_places_init(&scene.context, end_ns, &places);
        while (end_ns > scene.snapshot->start_ns) {
            uint64_t length_ns = 1 + random_life_below(&life, round == 0 ? 100000 : 1u << 30);
            uint64_t start_ns = end_ns > length_ns ? end_ns - length_ns : 0;
            assert_int_equal(hot_places_find(&places, 2, start_ns, end_ns, &place), 0);
            n_samples += place.n_samples;
            end_ns = start_ns;
        }
        assert_int_equal(n_samples, scene.snapshot->threads[2].n_samples);
        assert_true(n_samples > 1000);
    }
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_function_that_was_met_most_is_found),
        cmocka_unit_test(what_lies_behind_the_range_is_not_read),
        cmocka_unit_test(pieces_have_every_sample_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
