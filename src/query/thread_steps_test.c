/* SPDX-License-Identifier: MIT */
#include "query/query_test.h"

#include <errno.h>
#include <string.h>

#include "query/thread_range.h"
#include "query/thread_steps.h"
#include "query/wake_test.h"

#define MAX_THREADS 64

static void build(struct scene *scene, uint64_t from_ns, uint64_t to_ns, struct thread_steps *steps)
{
    assert_int_equal(
        thread_steps_build(scene->snapshot, from_ns, to_ns, NULL, &scene->arena, steps), 0);
}

static void assert_step(struct thread_walk *walk, enum thread_step_kind kind, uint64_t start_ns,
                        uint64_t end_ns)
{
    struct thread_step step;
    assert_true(thread_walk_back(walk, &step));
    assert_int_equal(step.kind, kind);
    assert_int_equal(step.start_ns, start_ns);
    assert_int_equal(step.end_ns, end_ns);
    assert_int_equal(walk->now_ns, start_ns);
}

static void steps_are_what_was_told(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_thread(scene.aggregate, 1000, TEST_PID, EVENT_THREAD_PRESENT, "main");
    tell_in(scene.aggregate, 1000, TEST_PID);
    tell_out(scene.aggregate, 1200, TEST_PID, false);
    tell_thread(scene.aggregate, 1300, 2, EVENT_THREAD_BORN, NULL);
    tell_in(scene.aggregate, 1310, 2);
    tell_out(scene.aggregate, 1400, 2, true);
    tell_in(scene.aggregate, 1450, 2);
    tell_in(scene.aggregate, 1500, TEST_PID);
    tell_thread(scene.aggregate, 1900, 2, EVENT_THREAD_GONE, NULL);
    scene_freeze(&scene, 2000);

    struct thread_steps steps;
    struct thread_step step;
    build(&scene, 1000, 2000, &steps);
    struct thread_walk walk = thread_walk_from(&steps, 0, 2000);
    assert_step(&walk, THREAD_STEP_RUN, 1500, 2000);
    assert_step(&walk, THREAD_STEP_WAIT, 1200, 1500);
    assert_step(&walk, THREAD_STEP_RUN, 1000, 1200);
    assert_false(thread_walk_back(&walk, &step));

    walk = thread_walk_from(&steps, 1, 2000); /* it lived up to 1900 only */
    assert_int_equal(walk.now_ns, 1900);
    assert_step(&walk, THREAD_STEP_RUN, 1450, 1900);
    assert_step(&walk, THREAD_STEP_RUNQ, 1400, 1450);
    assert_step(&walk, THREAD_STEP_RUN, 1310, 1400);
    assert_step(&walk, THREAD_STEP_RUNQ, 1300, 1310);
    assert_false(thread_walk_back(&walk, &step));

    build(&scene, 1250, 1480, &steps); /* clipped on both sides */
    walk = thread_walk_from(&steps, 0, 2000);
    assert_step(&walk, THREAD_STEP_WAIT, 1250, 1480);
    assert_false(thread_walk_back(&walk, &step));
    walk = thread_walk_from(&steps, 1, 1470);
    assert_step(&walk, THREAD_STEP_RUN, 1450, 1470);
    walk = thread_walk_from(&steps, 1, 1200); /* not born yet */
    assert_false(thread_walk_back(&walk, &step));
    scene_end(&scene);
}

static void a_wait_that_lasts_is_open(void **state)
{
    (void)state;
    for (int has_ended = 0; has_ended < 2; has_ended++) {
        struct scene scene;
        scene_begin(&scene, false, false);
        tell_thread(scene.aggregate, 1000, TEST_PID, EVENT_THREAD_PRESENT, "main");
        tell_in(scene.aggregate, 1000, TEST_PID);
        tell_out(scene.aggregate, 1200, TEST_PID, false);
        if (has_ended) {
            aggregate_end(scene.aggregate, 5000);
        }
        scene_freeze(&scene, 5000);
        struct thread_steps steps;
        struct thread_step step;
        build(&scene, 1000, 5000, &steps);
        struct thread_walk walk = thread_walk_from(&steps, 0, 5000);
        assert_true(thread_walk_back(&walk, &step));
        assert_int_equal(step.kind, THREAD_STEP_WAIT);
        assert_true(step.is_open);
        assert_int_equal(step.start_ns, 1200);
        assert_int_equal(step.end_ns, 5000);
        scene_end(&scene);
    }
}

/* Threads are born and go, besides what random_life does. */
static void play(struct scene *scene, struct random_life *life, unsigned int n_steps)
{
    for (unsigned int i = 0; i < n_steps; i++) {
        random_life_play(life, scene->aggregate, 50);
        if (life->n_threads < MAX_THREADS && random_life_below(life, 3) == 0) {
            life->now_ns++;
            tell_thread(scene->aggregate, life->now_ns, TEST_PID + life->n_threads++,
                        EVENT_THREAD_BORN, NULL);
        }
    }
}

/* Walks each thread back through the range: the steps touch, and sum to what thread_range says. */
static void compare(struct scene *scene, uint64_t from_ns, uint64_t to_ns)
{
    static struct thread_share shares[2 * MAX_THREADS];
    size_t n_threads = scene->snapshot->n_threads;
    memset(shares, 0, sizeof(shares));
    assert_true(n_threads <= 2 * MAX_THREADS);
    for (size_t i = 0; i < n_threads; i++) {
        shares[i].is_in_view = true;
    }
    assert_int_equal(thread_range_compute(&scene->context, from_ns, to_ns, shares), 0);
    struct thread_steps steps;
    build(scene, from_ns, to_ns, &steps);
    for (thread_id thread = 0; thread < n_threads; thread++) {
        const struct thread_totals *totals = &scene->snapshot->threads[thread];
        struct thread_walk walk = thread_walk_from(&steps, thread, to_ns);
        uint64_t sums_ns[3] = {0}, now_ns = walk.now_ns;
        struct thread_step step;
        while (thread_walk_back(&walk, &step)) {
            assert_int_equal(step.end_ns, now_ns);
            assert_true(step.start_ns < step.end_ns);
            sums_ns[step.kind] += step.end_ns - step.start_ns;
            struct thread_walk again =
                thread_walk_from(&steps, thread, step.start_ns + (step.end_ns - step.start_ns) / 2);
            struct thread_step half;
            bool is_long = step.end_ns - step.start_ns > 1;
            assert_true(!is_long || thread_walk_back(&again, &half));
            assert_true(!is_long || (half.kind == step.kind && half.start_ns == step.start_ns));
            now_ns = step.start_ns;
        }
        uint64_t first_ns = totals->start_ns > from_ns ? totals->start_ns : from_ns;
        assert_true(now_ns == first_ns || walk.now_ns < first_ns);
        assert_int_equal(sums_ns[THREAD_STEP_RUN], shares[thread].cpu_ns);
        assert_int_equal(sums_ns[THREAD_STEP_RUNQ], shares[thread].runnable_ns);
        assert_int_equal(sums_ns[THREAD_STEP_WAIT], shares[thread].blocked_ns);
    }
}

static void steps_sum_to_the_times_of_the_range(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct scene scene;
        scene_begin(&scene, false, false);
        struct random_life life = {
            .state = seed, .n_threads = 10, .sample_pct = 10, .has_switches = true};
        play(&scene, &life, 60);
        if (seed % 2) {
            aggregate_end(scene.aggregate, life.now_ns + 7000);
        }
        scene_freeze(&scene, life.now_ns + 7000);
        uint64_t start_ns = scene.snapshot->start_ns, now_ns = scene.snapshot->now_ns;
        compare(&scene, start_ns, now_ns);
        for (int i = 0; i < 60; i++) {
            scene_ask_anew(&scene);
            uint64_t from_ns = start_ns + random_life_below(&life, now_ns - start_ns - 1);
            uint64_t length_ns = i % 2 ? now_ns - from_ns : 3 * TEST_MS;
            uint64_t to_ns = from_ns + 1 + random_life_below(&life, length_ns);
            compare(&scene, from_ns, to_ns < now_ns ? to_ns : now_ns);
        }
        scene_end(&scene);
    }
}

static void waits_are_part_of_the_steps(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct scene scene;
        static struct random_wakes wakes;
        scene_begin(&scene, false, false);
        random_wakes_play(&scene, &wakes, seed, 3000);
        if (seed % 2) {
            aggregate_end(scene.aggregate, wakes.now_ns + 5000);
        }
        scene_freeze(&scene, wakes.now_ns + 5000);
        uint64_t start_ns = scene.snapshot->start_ns, now_ns = scene.snapshot->now_ns;
        compare(&scene, start_ns, now_ns);
        for (int i = 0; i < 60; i++) {
            scene_ask_anew(&scene);
            uint64_t from_ns = start_ns + random_life_below(&wakes.chance, now_ns - start_ns - 1);
            uint64_t length_ns = i % 2 ? now_ns - from_ns : 3 * TEST_MS;
            uint64_t to_ns = from_ns + 1 + random_life_below(&wakes.chance, length_ns);
            compare(&scene, from_ns, to_ns < now_ns ? to_ns : now_ns);
        }
        scene_end(&scene);
    }
}

/* Every wait that has ended is met where it was, in two parts. */
static void every_wait_is_met(void **state)
{
    (void)state;
    struct scene scene;
    static struct random_wakes wakes;
    scene_begin(&scene, false, false);
    random_wakes_play(&scene, &wakes, 77, 5000);
    scene_freeze(&scene, wakes.now_ns);
    struct thread_steps steps;
    build(&scene, scene.snapshot->start_ns, wakes.now_ns, &steps);
    uint64_t n_met = 0;
    for (thread_id thread = 0; thread < scene.snapshot->n_threads; thread++) {
        struct thread_walk walk = thread_walk_from(&steps, thread, wakes.now_ns);
        struct thread_step step;
        const struct stored_wait *last = NULL;
        while (thread_walk_back(&walk, &step)) {
            if (step.kind == THREAD_STEP_WAIT && step.wait) {
                assert_int_equal(step.start_ns, step.wait->start_ns);
                assert_int_equal(step.end_ns, step.wait->wake_ns);
                assert_false(step.is_cut);
            } else if (step.kind == THREAD_STEP_RUNQ && step.wait) {
                assert_int_equal(step.start_ns, step.wait->wake_ns);
                assert_int_equal(step.end_ns, step.wait->end_ns);
            }
            n_met += step.wait && step.wait != last;
            last = step.wait ? step.wait : last;
        }
    }
    assert_int_equal(n_met, wakes.n_waits);
    scene_end(&scene);
}

static void only_wanted_threads_are_kept(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    struct random_life life = {.state = 5, .n_threads = 4, .has_switches = true};
    random_life_play(&life, scene.aggregate, 2000);
    scene_freeze(&scene, life.now_ns);
    const bool is_wanted[4] = {false, true, false, false};
    struct thread_steps steps;
    assert_int_equal(thread_steps_build(scene.snapshot, scene.snapshot->start_ns, life.now_ns,
                                        is_wanted, &scene.arena, &steps),
                     0);
    assert_int_equal(steps.threads[0].n_slices, 0);
    assert_true(steps.threads[1].n_slices > 0);
    assert_int_equal(steps.threads[2].n_slices, 0);
    scene_end(&scene);
}

static void too_little_memory_is_told(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    struct random_life life = {.state = 5, .n_threads = 4, .has_switches = true};
    random_life_play(&life, scene.aggregate, 2000);
    scene_freeze(&scene, life.now_ns);
    struct thread_steps steps;
    const size_t limits[] = {16, 256};
    for (size_t i = 0; i < 2; i++) {
        struct arena arena;
        arena_init(&arena, limits[i]);
        assert_int_equal(thread_steps_build(scene.snapshot, scene.snapshot->start_ns, life.now_ns,
                                            NULL, &arena, &steps),
                         -ENOMEM);
        arena_release(&arena);
    }
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_what_was_told),
        cmocka_unit_test(a_wait_that_lasts_is_open),
        cmocka_unit_test(steps_sum_to_the_times_of_the_range),
        cmocka_unit_test(waits_are_part_of_the_steps),
        cmocka_unit_test(every_wait_is_met),
        cmocka_unit_test(only_wanted_threads_are_kept),
        cmocka_unit_test(too_little_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
