/* SPDX-License-Identifier: MIT */
#include "query/wake_test.h"

#include <errno.h>
#include <stdlib.h>

static struct intervals_result ask(struct scene *scene, struct query_intervals_options options)
{
    struct intervals_result result;
    assert_int_equal(query_intervals(&scene->context, &options, &result, &scene->error), 0);
    assert_true(result.n_rows <= result.intervals);
    return result;
}

static void the_longest_come_first(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_waits(&scene);
    struct intervals_result result = ask(&scene, (struct query_intervals_options){0});
    assert_int_equal(result.intervals, 6);
    assert_int_equal(result.n_rows, 6);
    assert_int_equal(result.blocked_ns, 1000 + 300 + 4000 + 2000 + 500 + 2000);
    assert_int_equal(result.runq_ns, 0);
    assert_null(result.hint);
    const uint64_t lengths_ns[] = {4000, 2000, 2000, 1000, 500, 300};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(result.rows[i].duration_ns, lengths_ns[i]);
    }
    const struct interval_row *sleep = &result.rows[0], *first = &result.rows[1],
                              *open = &result.rows[2];
    assert_int_equal(sleep->tid, TEST_PID + 1);
    assert_string_equal(sleep->name, "second");
    assert_int_equal(sleep->start_ns, 3500 - 1);
    assert_int_equal(sleep->reason, WAIT_REASON_SLEEP);
    assert_int_equal(sleep->n_stack, 2);
    assert_string_equal(sleep->stack[1].name, "run_worker");
    assert_non_null(sleep->wait_site);
    assert_true(sleep->complete);
    assert_false(sleep->approximate);
    assert_false(sleep->open);
    assert_false(sleep->has_waker);
    /* Equally long: the earlier one first. */
    assert_int_equal(first->start_ns, 4000 - 1);
    assert_false(first->open);
    assert_true(open->open);
    assert_int_equal(open->start_ns, 9000 - 1);
    assert_int_equal(open->reason, WAIT_REASON_READY);
    assert_string_equal(open->stack[1].name, "walk_tree");
    scene_end(&scene);
}

static void the_latest_come_first_where_wanted(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_waits(&scene);
    struct intervals_result result =
        ask(&scene, (struct query_intervals_options){.order = INTERVALS_ORDER_LATEST, .limit = 3});
    assert_int_equal(result.order, INTERVALS_ORDER_LATEST);
    assert_int_equal(result.intervals, 6);
    assert_int_equal(result.n_rows, 3);
    assert_true(result.rows[0].open);
    assert_int_equal(result.rows[1].start_ns, 3500 - 1); /* both end at 7500 */
    assert_int_equal(result.rows[2].start_ns, 7000 - 1);
    scene_end(&scene);
}

static void views_choose_waits(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_waits(&scene);
    struct intervals_result result = ask(
        &scene, (struct query_intervals_options){.has_reason = true, .reason = WAIT_REASON_LOCK});
    assert_int_equal(result.intervals, 2);
    assert_int_equal(result.rows[0].duration_ns, 500);
    assert_int_equal(result.blocked_ns, 800);
    result = ask(&scene,
                 (struct query_intervals_options){.has_reason = true, .reason = WAIT_REASON_SEM});
    assert_int_equal(result.intervals, 0);
    assert_non_null(result.hint);

    int64_t tids[] = {TEST_PID + 1};
    scene.view = (struct view){.n_tids = 1, .tids = tids};
    result = ask(&scene, (struct query_intervals_options){0});
    assert_int_equal(result.intervals, 2);
    assert_int_equal(result.rows[0].duration_ns, 4000);

    /* What touches the range is there with its whole length. */
    scene.view = (struct view){.has_from = true, .from_ns = 2500, .has_to = true, .to_ns = 3600};
    result = ask(&scene, (struct query_intervals_options){0});
    assert_int_equal(result.intervals, 3);
    assert_int_equal(result.rows[0].duration_ns, 4000);
    assert_int_equal(result.rows[1].duration_ns, 1000);
    assert_int_equal(result.rows[2].duration_ns, 300);

    char pattern[] = "walk_tree", *patterns[] = {pattern};
    scene.view = (struct view){.n_focus = 1, .focus = patterns};
    assert_int_equal(ask(&scene, (struct query_intervals_options){0}).intervals, 3);
    scene.view = (struct view){.n_exclude = 1, .exclude = patterns};
    assert_int_equal(ask(&scene, (struct query_intervals_options){0}).intervals, 3);
    scene.view = (struct view){0};
    result = ask(&scene, (struct query_intervals_options){.no_stacks = true});
    assert_false(result.rows[0].has_stack);
    assert_int_equal(result.rows[0].n_stack, 0);
    assert_int_equal(result.rows[0].reason, WAIT_REASON_SLEEP);
    assert_non_null(result.rows[0].wait_site);
    result = ask(&scene, (struct query_intervals_options){.max_frames = 1});
    assert_true(result.rows[0].has_stack);
    assert_int_equal(result.rows[0].n_stack, 1);
    scene_end(&scene);
}

/* Ends are told late: by the end that is shown a wait lies in a range, not by its record. */
static void a_range_has_what_ends_in_it(void **state)
{
    (void)state;
    struct scene scene;
    const uint64_t lock[] = {place_in(__lll_lock_wait, 1), place_in(run_worker, 2)};
    scene_begin(&scene, true, false);
    tell_start(&scene, 1000, TEST_PID, "main");
    tell_block(&scene, 2000, TEST_PID, lock, 2, no_object());
    tell_in(scene.aggregate, 3000, TEST_PID);
    tell_block(&scene, 4000, TEST_PID, lock, 2, no_object());
    tell_in(scene.aggregate, 4050, TEST_PID); /* shorter than its end is late */
    scene_freeze(&scene, 9000);
    scene.snapshot->switch_lag_ns = 100;
    const struct {
        int64_t from_ns;
        size_t n_waits;
    } ranges[] = {{1998, 2}, {2898, 2}, {2899, 1}, {2998, 1}, {3999, 1}, {4000, 0}};
    for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
        scene_ask_anew(&scene);
        scene.view = (struct view){.has_from = true, .from_ns = ranges[i].from_ns};
        struct intervals_result result = ask(&scene, (struct query_intervals_options){0});
        assert_int_equal(result.intervals, ranges[i].n_waits);
        assert_int_equal(result.blocked_ns, ranges[i].n_waits == 2 ? 900 : 0);
    }
    scene_end(&scene);
}

static void wakers_are_told(void **state)
{
    (void)state;
    struct scene scene;
    const uint64_t waker_ips[] = {place_in(visit_node, 1), place_in(run_worker, 2)};
    uint64_t lock[2];
    uint32_t n_lock = stack_to_wait_in(WAIT_REASON_LOCK, lock);
    scene_begin(&scene, true, false);
    tell_start(&scene, 1000, TEST_PID, "main");
    tell_start(&scene, 1000, 2, "waker");
    const int64_t wakers[] = {2, EVENT_NO_WAKER, WAKE_STRANGER_TID, EVENT_WAKER_UNKNOWN};
    for (uint64_t i = 0; i < 4; i++) {
        uint64_t at_ns = 2000 + i * 1000;
        tell_block(&scene, at_ns, TEST_PID, lock, n_lock, no_object());
        if (i == 0 || i == 2) {
            tell_wakeup(&scene, at_ns + 600, TEST_PID, wakers[i], i == 0 ? 1 : 0, waker_ips,
                        i == 0 ? 2 : 0);
        }
        tell_woken_by(&scene, at_ns + 700, TEST_PID, i == 3 ? 0 : at_ns + 600, wakers[i],
                      i == 0 ? 1 : 0);
    }
    scene_freeze(&scene, 9000);
    int64_t tids[] = {TEST_PID};
    scene.view = (struct view){.n_tids = 1, .tids = tids};
    struct intervals_result result =
        ask(&scene, (struct query_intervals_options){.order = INTERVALS_ORDER_LATEST});
    assert_int_equal(result.n_rows, 4);
    assert_int_equal(result.blocked_ns, 3 * 600 + 700);
    assert_int_equal(result.runq_ns, 3 * 100);
    const struct interval_row *by_thread = &result.rows[3], *by_timer = &result.rows[2],
                              *by_stranger = &result.rows[1], *by_nobody = &result.rows[0];
    assert_true(by_thread->has_waker);
    assert_int_equal(by_thread->duration_ns, 600);
    assert_int_equal(by_thread->runq_ns, 100);
    assert_int_equal(by_thread->waker.tid, 2);
    assert_string_equal(by_thread->waker.name, "waker");
    assert_false(by_thread->waker.is_outsider);
    assert_int_equal(by_thread->waker.n_stack, 2);
    assert_string_equal(by_thread->waker.stack[0].name, "visit_node");
    assert_int_equal(by_timer->waker.tid, 0);
    assert_string_equal(by_timer->waker.name, "(timer or interrupt)");
    assert_int_equal(by_timer->waker.n_stack, 0);
    assert_true(by_stranger->waker.is_outsider);
    assert_int_equal(by_stranger->waker.tid, WAKE_STRANGER_TID);
    assert_string_equal(by_stranger->waker.name, "stranger");
    assert_false(by_nobody->has_waker);
    assert_int_equal(by_nobody->runq_ns, 0);
    scene_end(&scene);
}

static void objects_and_looks_are_told(void **state)
{
    (void)state;
    struct scene scene;
    const uint64_t lock[] = {place_in(__lll_lock_wait, 1), place_in(run_worker, 2)};
    scene_begin(&scene, true, false);
    tell_start(&scene, 1000, TEST_PID, "main");
    tell_block(&scene, 2000, TEST_PID, lock, 2, object_of(SYS_futex, 0x1230));
    tell_in(scene.aggregate, 2500, TEST_PID);
    tell_out(scene.aggregate, 3000, TEST_PID, false);
    tell_seen(&scene, 3500, TEST_PID, "pipe_read", object_of(SYS_read, 5));
    scene_freeze(&scene, 9000);
    struct intervals_result result = ask(&scene, (struct query_intervals_options){0});
    assert_int_equal(result.n_rows, 2);
    assert_true(result.rows[0].open && result.rows[0].approximate);
    assert_int_equal(result.rows[0].reason, WAIT_REASON_IPC);
    assert_non_null(strstr(result.rows[0].object, "5"));
    assert_false(result.rows[1].approximate);
    assert_non_null(strstr(result.rows[1].object, "0x1230"));
    scene_end(&scene);
}

static int by_length(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return *a > *b ? -1 : *a < *b;
}

/* Whatever the limit, the same rows as if all were sorted. */
static void a_limit_keeps_the_right_ones(void **state)
{
    (void)state;
    struct scene scene;
    static struct random_wakes wakes;
    scene_begin(&scene, false, false);
    random_wakes_play(&scene, &wakes, 4711, 60000);
    scene_freeze(&scene, wakes.now_ns + 5000);
    struct intervals_result all = ask(&scene, (struct query_intervals_options){0});
    assert_true(all.intervals >= wakes.n_waits && wakes.n_waits > 20000);
    assert_int_equal(all.n_rows, all.intervals);
    uint64_t *lengths_ns = calloc(all.n_rows, sizeof(*lengths_ns));
    uint64_t sum_ns = 0;
    for (size_t i = 0; i < all.n_rows; i++) {
        lengths_ns[i] = all.rows[i].duration_ns;
        sum_ns += lengths_ns[i];
    }
    qsort(lengths_ns, all.n_rows, sizeof(*lengths_ns), by_length);
    assert_int_equal(sum_ns, all.blocked_ns);
    struct threads_result threads;
    const struct query_threads_options no_limit = {0};
    assert_int_equal(query_threads(&scene.context, &no_limit, &threads, &scene.error), 0);
    assert_int_equal(sum_ns, threads.totals.off_cpu_ns);
    const uint32_t limits[] = {1, 20, 1000, 5000, 19999, 1u << 30};
    for (size_t i = 0; i < 6; i++) {
        struct intervals_result some =
            ask(&scene, (struct query_intervals_options){.limit = limits[i]});
        assert_int_equal(some.intervals, all.intervals);
        assert_int_equal(some.n_rows, limits[i] < all.n_rows ? limits[i] : all.n_rows);
        for (size_t k = 0; k < some.n_rows; k++) {
            assert_int_equal(some.rows[k].duration_ns, lengths_ns[k]);
        }
    }
    free(lengths_ns);
    scene_end(&scene);
}

static void runs_without_waits_say_so(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_in(scene.aggregate, 1000, TEST_PID);
    scene_freeze(&scene, 2000);
    struct intervals_result result = ask(&scene, (struct query_intervals_options){0});
    assert_int_equal(result.intervals, 0);
    assert_non_null(result.hint);
    scene_end(&scene);

    scene_begin(&scene, false, true);
    const uint64_t ip = 0x1000;
    tell_sample(scene.aggregate, 1000, TEST_PID, &ip, 1);
    scene_freeze(&scene, 2000);
    result = ask(&scene, (struct query_intervals_options){0});
    assert_int_equal(result.intervals, 0);
    assert_non_null(strstr(result.hint, "--no-off-cpu"));
    scene_end(&scene);
}

static void too_little_memory_is_told(void **state)
{
    (void)state;
    struct scene scene;
    static struct random_wakes wakes;
    scene_begin(&scene, false, false);
    random_wakes_play(&scene, &wakes, 5, 3000);
    scene_freeze(&scene, wakes.now_ns);
    const struct query_intervals_options options = {0};
    struct intervals_result result;
    for (size_t limit = 16; limit <= 65536; limit *= 4) {
        scene_ask_anew(&scene);
        scene.arena.max_bytes = limit;
        assert_int_equal(query_intervals(&scene.context, &options, &result, &scene.error), -ENOMEM);
    }
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_come_first),
        cmocka_unit_test(the_latest_come_first_where_wanted),
        cmocka_unit_test(views_choose_waits),
        cmocka_unit_test(a_range_has_what_ends_in_it),
        cmocka_unit_test(wakers_are_told),
        cmocka_unit_test(objects_and_looks_are_told),
        cmocka_unit_test(a_limit_keeps_the_right_ones),
        cmocka_unit_test(runs_without_waits_say_so),
        cmocka_unit_test(too_little_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
