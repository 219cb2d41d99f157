/* SPDX-License-Identifier: MIT */
#include "query/critical_path.h"
#include "query/wake_test.h"

#define MAX_SEGMENTS 100000

struct told {
    size_t n;
    struct path_segment segments[MAX_SEGMENTS]; /* from the last to the first */
};

static struct told told;

static int tell_segment(void *userdata, const struct path_segment *segment)
{
    (void)userdata;
    assert_true(told.n < MAX_SEGMENTS);
    told.segments[told.n++] = *segment;
    return 0;
}

static void walk(struct scene *scene, thread_id thread, uint64_t from_ns, uint64_t to_ns)
{
    struct thread_steps steps;
    told.n = 0;
    assert_int_equal(
        thread_steps_build(scene->snapshot, from_ns, to_ns, NULL, &scene->arena, &steps), 0);
    assert_int_equal(critical_path_walk(&steps, thread, from_ns, tell_segment, NULL), 0);
}

/* Counted from the first. */
static const struct path_segment *nth(size_t i)
{
    assert_true(i < told.n);
    return &told.segments[told.n - 1 - i];
}

static void assert_segment(size_t i, thread_id thread, enum why_kind kind, uint64_t start_ns,
                           uint64_t end_ns)
{
    const struct path_segment *segment = nth(i);
    assert_int_equal(segment->thread, thread);
    assert_int_equal(segment->kind, kind);
    assert_int_equal(segment->start_ns, start_ns);
    assert_int_equal(segment->end_ns, end_ns);
}

/*
 * In microseconds:
 *  main    ──run──┐1100          wait          ┌1650 runq┐1700 ──run── 2000
 *  worker         made 1050, runs 1060 ──┐1200 sleeps ┌1500 1510 ──run── 1650 (wakes main), out
 * 1660
 */
static void tell_two(struct scene *scene)
{
    uint64_t lock[2], sleep[2];
    uint32_t n_lock = stack_to_wait_in(WAIT_REASON_LOCK, lock);
    uint32_t n_sleep = stack_to_wait_in(WAIT_REASON_SLEEP, sleep);
    tell_start(scene, 1000000, TEST_PID, "main");
    tell_made(scene, 1050000, 2, TEST_PID, "worker");
    tell_in(scene->aggregate, 1060000, 2);
    tell_block(scene, 1100000, TEST_PID, lock, n_lock, no_object());
    tell_block(scene, 1200000, 2, sleep, n_sleep, no_object());
    tell_woken_by(scene, 1510000, 2, 1500000, EVENT_NO_WAKER, 0);
    tell_block(scene, 1660000, 2, sleep, n_sleep, no_object());
    tell_woken_by(scene, 1700000, TEST_PID, 1650000, 2, 0);
    scene_freeze(scene, 2000000);
}

static void the_path_goes_through_who_woke(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_two(&scene);
    walk(&scene, 0, 1000000, 2000000);
    assert_int_equal(told.n, 8);
    assert_segment(0, 0, WHY_KIND_RUN, 1000000, 1050000);
    assert_segment(1, 1, WHY_KIND_RUNQ, 1050000, 1060000);
    assert_segment(2, 1, WHY_KIND_RUN, 1060000, 1200000);
    assert_segment(3, 1, WHY_KIND_WAIT, 1200000, 1500000);
    assert_segment(4, 1, WHY_KIND_RUNQ, 1500000, 1510000);
    assert_segment(5, 1, WHY_KIND_RUN, 1510000, 1650000); /* not to 1660000: that came too late */
    assert_segment(6, 0, WHY_KIND_RUNQ, 1650000, 1700000);
    assert_segment(7, 0, WHY_KIND_RUN, 1700000, 2000000);

    assert_true(nth(1)->is_birth);
    assert_int_equal(nth(1)->other, 0);
    assert_null(nth(1)->edge);
    assert_int_equal(nth(3)->wait->waker, WAKER_ID_NONE);
    assert_null(nth(4)->edge);
    const struct stored_wait *edge = nth(6)->edge;
    assert_non_null(edge);
    assert_int_equal(edge->start_ns, 1100000);
    assert_int_equal(edge->wake_ns, 1650000);
    assert_int_equal(nth(6)->other, 1);
    assert_false(nth(6)->is_birth);
    assert_null(nth(7)->edge);
    scene_end(&scene);
}

static void a_range_clips_the_path(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_two(&scene);
    walk(&scene, 0, 1300000, 1680000);
    assert_int_equal(told.n, 4);
    assert_segment(0, 1, WHY_KIND_WAIT, 1300000, 1500000);
    assert_segment(1, 1, WHY_KIND_RUNQ, 1500000, 1510000);
    assert_segment(2, 1, WHY_KIND_RUN, 1510000, 1650000);
    assert_segment(3, 0, WHY_KIND_RUNQ, 1650000, 1680000);

    /* Who will end the wait is not known in its midst. */
    walk(&scene, 0, 1000000, 1400000);
    assert_int_equal(told.n, 2);
    assert_segment(0, 0, WHY_KIND_RUN, 1000000, 1100000);
    assert_segment(1, 0, WHY_KIND_WAIT, 1100000, 1400000);
    assert_true(nth(1)->is_cut);

    walk(&scene, 1, 1000000, 2000000); /* the other one, which waits still */
    assert_segment(told.n - 1, 1, WHY_KIND_WAIT, 1660000, 2000000);
    assert_true(nth(told.n - 1)->is_open);
    scene_end(&scene);
}

static void without_wakers_the_path_stays_on_its_thread(void **state)
{
    (void)state;
    struct scene scene;
    const int64_t wakers[] = {EVENT_NO_WAKER, EVENT_WAKER_UNKNOWN, WAKE_STRANGER_TID, TEST_PID};
    for (size_t i = 0; i < 4; i++) {
        uint64_t lock[2];
        uint32_t n_lock = stack_to_wait_in(WAIT_REASON_LOCK, lock);
        scene_begin(&scene, false, false);
        tell_start(&scene, 1000000, TEST_PID, "main");
        tell_block(&scene, 1100000, TEST_PID, lock, n_lock, no_object());
        tell_woken_by(&scene, 1700000, TEST_PID, 1650000, wakers[i], 0);
        scene_freeze(&scene, 2000000);
        walk(&scene, 0, 1000000, 2000000);
        assert_int_equal(told.n, 4);
        assert_segment(0, 0, WHY_KIND_RUN, 1000000, 1100000);
        assert_segment(1, 0, WHY_KIND_WAIT, 1100000, 1650000);
        assert_segment(2, 0, WHY_KIND_RUNQ, 1650000, 1700000);
        assert_segment(3, 0, WHY_KIND_RUN, 1700000, 2000000);
        assert_null(nth(2)->edge);
        scene_end(&scene);
    }
}

static void a_thread_wakes_with_its_last_steps(void **state)
{
    (void)state;
    uint64_t join[2];
    uint32_t n_join = stack_to_wait_in(WAIT_REASON_LOCK, join);
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_start(&scene, 1000000, TEST_PID, "main");
    tell_start(&scene, 1010000, 2, "worker");
    tell_block(&scene, 1100000, TEST_PID, join, n_join, no_object());
    tell_thread(scene.aggregate, 1600000, 2, EVENT_THREAD_GONE, NULL);
    tell_woken_by(&scene, 1700000, TEST_PID, 1650000, 2, 0);
    scene_freeze(&scene, 2000000);
    walk(&scene, 0, 1020000, 2000000);
    assert_int_equal(told.n, 3);
    assert_segment(0, 1, WHY_KIND_RUN, 1020000, 1650000);
    assert_segment(1, 0, WHY_KIND_RUNQ, 1650000, 1700000);
    assert_segment(2, 0, WHY_KIND_RUN, 1700000, 2000000);
    scene_end(&scene);
}

static void before_and_after_a_life_nothing_is_known(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_start(&scene, 1000000, TEST_PID, "main");
    tell_start(&scene, 1300000, 2, "orphan"); /* nobody told who made it */
    tell_thread(scene.aggregate, 1600000, 2, EVENT_THREAD_GONE, NULL);
    scene_freeze(&scene, 2000000);
    walk(&scene, 1, 1000000, 2000000);
    assert_int_equal(told.n, 3);
    assert_segment(0, 1, WHY_KIND_UNKNOWN, 1000000, 1300000);
    assert_segment(1, 1, WHY_KIND_RUN, 1300000, 1600000);
    assert_segment(2, 1, WHY_KIND_UNKNOWN, 1600000, 2000000);
    walk(&scene, 1, 1000000, 1200000); /* all before its birth */
    assert_int_equal(told.n, 1);
    assert_segment(0, 1, WHY_KIND_UNKNOWN, 1000000, 1200000);
    walk(&scene, 1, 1700000, 1900000);
    assert_int_equal(told.n, 1);
    assert_segment(0, 1, WHY_KIND_UNKNOWN, 1700000, 1900000);
    scene_end(&scene);
}

/* Two threads that seem to have woken each other at the same instant. */
static void a_circle_at_one_instant_ends(void **state)
{
    (void)state;
    uint64_t lock[2];
    uint32_t n_lock = stack_to_wait_in(WAIT_REASON_LOCK, lock);
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_start(&scene, 1000000, TEST_PID, "main");
    tell_start(&scene, 1000000, 2, "other");
    tell_block(&scene, 1100000, TEST_PID, lock, n_lock, no_object());
    tell_block(&scene, 1100000, 2, lock, n_lock, no_object());
    tell_woken_by(&scene, 1500000, TEST_PID, 1500000, 2, 0);
    tell_woken_by(&scene, 1500000, 2, 1500000, TEST_PID, 0);
    scene_freeze(&scene, 2000000);
    walk(&scene, 0, 1000000, 2000000);
    uint64_t sum_ns = 0;
    for (size_t i = 0; i < told.n; i++) {
        sum_ns += nth(i)->end_ns - nth(i)->start_ns;
    }
    assert_int_equal(sum_ns, 1000000);
    assert_true(told.n < 10);
    scene_end(&scene);
}

static void check_told(uint64_t from_ns, uint64_t to_ns)
{
    assert_true(told.n > 0);
    assert_int_equal(nth(0)->start_ns, from_ns);
    assert_int_equal(nth(told.n - 1)->end_ns, to_ns);
    for (size_t i = 0; i < told.n; i++) {
        const struct path_segment *segment = nth(i);
        assert_true(segment->start_ns < segment->end_ns);
        if (i == 0) {
            continue;
        }
        const struct path_segment *before = nth(i - 1);
        assert_int_equal(before->end_ns, segment->start_ns);
        bool is_handed_over = segment->edge || segment->is_birth;
        assert_true(is_handed_over || before->thread == segment->thread);
        if (segment->edge) {
            assert_int_equal(segment->edge->thread, segment->thread);
            assert_int_equal(segment->edge->wake_ns, segment->start_ns);
            assert_int_equal(segment->edge->waker, segment->other);
        }
    }
}

static void paths_cover_ranges_of_all_kinds(void **state)
{
    (void)state;
    size_t n_edges = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct scene scene;
        static struct random_wakes wakes;
        scene_begin(&scene, false, false);
        random_wakes_play(&scene, &wakes, seed, 4000);
        if (seed % 2) {
            aggregate_end(scene.aggregate, wakes.now_ns + 5000);
        }
        scene_freeze(&scene, wakes.now_ns + 5000);
        uint64_t start_ns = scene.snapshot->start_ns, now_ns = scene.snapshot->now_ns;
        for (int i = 0; i < 80; i++) {
            scene_ask_anew(&scene);
            uint64_t from_ns = start_ns + random_life_below(&wakes.chance, now_ns - start_ns - 1);
            uint64_t to_ns = from_ns + 1 + random_life_below(&wakes.chance, now_ns - from_ns);
            to_ns = to_ns < now_ns ? to_ns : now_ns;
            walk(&scene, (thread_id)random_life_below(&wakes.chance, RANDOM_WAKES_THREADS), from_ns,
                 to_ns);
            check_told(from_ns, to_ns);
            for (size_t k = 0; k < told.n; k++) {
                n_edges += nth(k)->edge != NULL;
            }
        }
        walk(&scene, 0, start_ns, now_ns);
        check_told(start_ns, now_ns);
        scene_end(&scene);
    }
    assert_true(n_edges > 1000);
}

static int stop_at_once(void *userdata, const struct path_segment *segment)
{
    (void)segment;
    (*(int *)userdata)++;
    return -7;
}

static void whoever_listens_can_stop(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_two(&scene);
    struct thread_steps steps;
    int n_calls = 0;
    assert_int_equal(
        thread_steps_build(scene.snapshot, 1000000, 2000000, NULL, &scene.arena, &steps), 0);
    assert_int_equal(critical_path_walk(&steps, 0, 1000000, stop_at_once, &n_calls), -7);
    assert_int_equal(n_calls, 1);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_path_goes_through_who_woke),
        cmocka_unit_test(a_range_clips_the_path),
        cmocka_unit_test(without_wakers_the_path_stays_on_its_thread),
        cmocka_unit_test(a_thread_wakes_with_its_last_steps),
        cmocka_unit_test(before_and_after_a_life_nothing_is_known),
        cmocka_unit_test(a_circle_at_one_instant_ends),
        cmocka_unit_test(paths_cover_ranges_of_all_kinds),
        cmocka_unit_test(whoever_listens_can_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
