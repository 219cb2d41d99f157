/* SPDX-License-Identifier: MIT */
#include "query/wake_test.h"

#include <errno.h>

static struct why_result ask(struct scene *scene, struct query_why_options options)
{
    struct why_result result;
    assert_int_equal(query_why(&scene->context, &options, &result, &scene->error), 0);
    return result;
}

/* The segments touch and sum to the range, the rows of the summary too. */
static void check(const struct why_result *result)
{
    uint64_t sum_ns = 0;
    assert_int_equal(result->total_ns, result->end_ns - result->start_ns);
    for (size_t i = 0; i < result->n_segments; i++) {
        const struct why_segment *segment = &result->segments[i];
        sum_ns += segment->duration_ns;
        if (i > 0) {
            assert_int_equal(segment->start_ns, segment[-1].start_ns + segment[-1].duration_ns);
            assert_true(segment->has_edge || segment->tid == segment[-1].tid);
            assert_true(!segment->has_edge || segment->edge.waker_tid == segment[-1].tid);
        }
    }
    if (result->n_segments == result->all_segments) {
        uint64_t in_summary_ns = 0, count = 0;
        assert_int_equal(sum_ns, result->total_ns);
        assert_int_equal(result->segments[0].start_ns, result->start_ns);
        for (size_t i = 0; i < result->n_summary; i++) {
            in_summary_ns += result->summary[i].total_ns;
            count += result->summary[i].count;
            assert_true(i == 0 || result->summary[i].total_ns <= result->summary[i - 1].total_ns);
        }
        assert_int_equal(in_summary_ns, result->total_ns);
        assert_int_equal(count, result->all_segments);
    }
}

/*
 *  main    computes to 1100, waits for a lock up to 1650, runs again from 1700
 *  worker  made at 1050, computes, sleeps 1200 to 1500, computes and wakes main
 */
static void tell_two(struct scene *scene)
{
    uint64_t lock[2], sleep[2];
    uint32_t n_lock = stack_to_wait_in(WAIT_REASON_LOCK, lock);
    uint32_t n_sleep = stack_to_wait_in(WAIT_REASON_SLEEP, sleep);
    const uint64_t hash[] = {place_in(hash_key, 1), place_in(run_worker, 2)};
    const uint64_t copy[] = {place_in(copy_bytes, 1), place_in(run_worker, 2)};
    tell_start(scene, 1000, TEST_PID, "main");
    tell_made(scene, 1050, 2, TEST_PID, "worker");
    tell_in(scene->aggregate, 1060, 2);
    tell_block(scene, 1100, TEST_PID, lock, n_lock, no_object());
    tell_sample(scene->aggregate, 1150, 2, hash, 2);
    tell_block(scene, 1200, 2, sleep, n_sleep, no_object());
    tell_woken_by(scene, 1510, 2, 1500, EVENT_NO_WAKER, 0);
    tell_sample(scene->aggregate, 1550, 2, copy, 2);
    tell_sample(scene->aggregate, 1560, 2, copy, 2);
    tell_sample(scene->aggregate, 1570, 2, hash, 2);
    tell_wakeup(scene, 1650, TEST_PID, 2, 1, copy, 2);
    tell_block(scene, 1660, 2, sleep, n_sleep, no_object());
    tell_woken_by(scene, 1700, TEST_PID, 1650, 2, 1);
    scene_freeze(scene, 2000);
}

static void a_path_is_told_whole(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_two(&scene);
    scene.view = (struct view){.has_from = true, .from_ns = 999};
    struct why_result result = ask(&scene, (struct query_why_options){0});
    check(&result);
    assert_int_equal(result.thread.tid, TEST_PID);
    assert_string_equal(result.choice, "it ran last");
    assert_int_equal(result.total_ns, 1000);
    assert_int_equal(result.end_ns, 1999);
    assert_int_equal(result.all_segments, 8);
    assert_int_equal(result.n_segments, 8);
    assert_int_equal(result.unkept_segments, 0);
    assert_null(result.hint);

    const struct why_segment *made = &result.segments[1], *first = &result.segments[2],
                             *sleep = &result.segments[3], *second = &result.segments[5],
                             *woken = &result.segments[6];
    assert_true(made->has_edge && made->edge.is_birth);
    assert_int_equal(made->edge.waker_tid, TEST_PID);
    assert_int_equal(first->kind, WHY_KIND_RUN);
    assert_int_equal(first->samples, 1);
    assert_string_equal(first->stack[0].name, "hash_key");
    assert_int_equal(sleep->kind, WHY_KIND_WAIT);
    assert_int_equal(sleep->tid, 2);
    assert_int_equal(sleep->reason, WAIT_REASON_SLEEP);
    assert_int_equal(sleep->duration_ns, 300);
    assert_true(sleep->has_waker);
    assert_int_equal(sleep->waker_tid, 0);
    assert_non_null(sleep->wait_site);
    assert_int_equal(sleep->n_stack, 2);
    assert_int_equal(second->samples, 3);
    assert_string_equal(second->stack[0].name, "copy_bytes");
    assert_int_equal(second->duration_ns, 1650 - 1510);
    assert_int_equal(woken->kind, WHY_KIND_RUNQ);
    assert_true(woken->has_edge);
    assert_false(woken->edge.is_birth);
    assert_int_equal(woken->edge.reason, WAIT_REASON_LOCK);
    assert_int_equal(woken->edge.waited_ns, 550);
    assert_string_equal(woken->edge.waker_name, "worker");
    assert_string_equal(woken->edge.waker_stack[0].name, "copy_bytes");
    assert_int_equal(woken->edge.n_wait_stack, 2);

    assert_int_equal(result.n_handovers, 2);
    assert_int_equal(result.handovers[0].waited_ns, 550);
    assert_int_equal(result.handovers[0].wakee_tid, TEST_PID);
    assert_int_equal(result.handovers[0].waker_tid, 2);
    assert_int_equal(result.handovers[0].reason, WAIT_REASON_LOCK);
    assert_true(result.handovers[1].is_birth);
    assert_string_equal(result.handovers[1].wakee_name, "worker");
    const struct why_sum *largest = &result.summary[0];
    assert_int_equal(largest->total_ns, 350); /* main runs without a sample */
    assert_int_equal(largest->count, 2);
    assert_null(largest->what);
    assert_true(largest->total_pct > 34.9 && largest->total_pct < 35.1);
    scene_end(&scene);
}

static void a_limit_shows_the_end(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_two(&scene);
    struct why_result all = ask(&scene, (struct query_why_options){0});
    struct why_result some = ask(&scene, (struct query_why_options){.limit = 2, .max_frames = 1});
    check(&some);
    assert_int_equal(some.n_segments, 2);
    assert_int_equal(some.n_summary, 2);
    assert_int_equal(some.n_handovers, 2);
    assert_int_equal(some.all_segments, all.all_segments);
    assert_int_equal(some.segments[1].start_ns, all.segments[all.n_segments - 1].start_ns);
    assert_int_equal(some.segments[0].edge.n_wait_stack, 1);
    assert_int_equal(some.summary[0].total_ns, all.summary[0].total_ns);
    scene_end(&scene);
}

static void the_thread_can_be_chosen(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_two(&scene);
    int64_t tids[] = {2, TEST_PID};
    scene.view = (struct view){.n_tids = 1, .tids = tids};
    struct why_result result = ask(&scene, (struct query_why_options){0});
    check(&result);
    assert_int_equal(result.thread.tid, 2);
    assert_string_equal(result.choice, "it was asked for");
    const struct why_segment *last = &result.segments[result.n_segments - 1];
    assert_int_equal(last->kind, WHY_KIND_WAIT); /* it lasts */
    assert_false(last->has_waker);
    assert_int_equal(last->reason, WAIT_REASON_SLEEP);
    assert_int_equal(last->n_stack, 2);
    scene.view.n_tids = 2;
    assert_int_equal(ask(&scene, (struct query_why_options){0}).thread.tid, TEST_PID);
    /* Before 1640 it was the worker that ran last. */
    scene.view = (struct view){.has_to = true, .to_ns = 1640};
    assert_int_equal(ask(&scene, (struct query_why_options){0}).thread.tid, 2);
    scene_end(&scene);

    scene_begin(&scene, false, false);
    tell_start(&scene, 1000, 5, "five");
    tell_start(&scene, 1000, TEST_PID, "main");
    tell_start(&scene, 1000, 7, "seven");
    scene_freeze(&scene, 2000);
    result = ask(&scene, (struct query_why_options){0});
    assert_int_equal(result.thread.tid, TEST_PID);
    assert_non_null(strstr(result.choice, "main"));
    int64_t others[] = {5, 7};
    scene.view = (struct view){.n_tids = 2, .tids = others};
    result = ask(&scene, (struct query_why_options){0});
    assert_int_equal(result.thread.tid, 5);
    assert_non_null(strstr(result.choice, "first"));
    scene_end(&scene);
}

/* A process that ends takes its threads along, some of them later than the main one. */
static void the_end_of_a_process_is_that_of_its_main_thread(void **state)
{
    (void)state;
    for (uint64_t later_ns = 1000; later_ns <= 100 * TEST_MS; later_ns *= 100000) {
        struct scene scene;
        scene_begin(&scene, false, false);
        tell_start(&scene, 1000, TEST_PID, "main");
        tell_start(&scene, 2000, TEST_PID + 1, "helper");
        tell_thread(scene.aggregate, 9000, TEST_PID, EVENT_THREAD_GONE, NULL);
        tell_thread(scene.aggregate, 9000 + later_ns, TEST_PID + 1, EVENT_THREAD_GONE, NULL);
        scene_freeze(&scene, 10000 + later_ns);
        struct why_result result = ask(&scene, (struct query_why_options){0});
        check(&result);
        bool is_together = later_ns == 1000;
        assert_int_equal(result.thread.tid, is_together ? TEST_PID : TEST_PID + 1);
        assert_string_equal(result.choice,
                            is_together ? "several threads ran at the end, and it is the main one"
                                        : "it ran last");
        scene_end(&scene);
    }
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    struct scene scene;
    struct why_result result;
    const struct query_why_options options = {0};
    char pattern[] = "x", *patterns[] = {pattern};
    scene_begin(&scene, false, false);
    scene_freeze(&scene, 10);
    assert_int_equal(query_why(&scene.context, &options, &result, &scene.error), -EINVAL);
    scene.view = (struct view){.n_exclude = 1, .exclude = patterns};
    assert_int_equal(query_why(&scene.context, &options, &result, &scene.error), -EINVAL);
    assert_string_equal(scene.error.code, "not_supported");
    scene_end(&scene);
    scene_begin(&scene, false, true);
    scene_freeze(&scene, 10);
    assert_int_equal(query_why(&scene.context, &options, &result, &scene.error), -EINVAL);
    assert_non_null(strstr(scene.error.message, "--no-off-cpu"));
    scene_end(&scene);
}

static void what_is_not_recorded_is_said(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_start(&scene, 1000, TEST_PID, "main");
    tell_out(scene.aggregate, 1500, TEST_PID, false);
    tell_in(scene.aggregate, 1600, TEST_PID);
    scene_freeze(&scene, 2000);
    struct why_result result =
        ask(&scene, (struct query_why_options){.unrecorded = "perf_event_paranoid=2"});
    assert_non_null(strstr(result.hint, "perf_event_paranoid=2"));
    check(&result);
    assert_null(ask(&scene, (struct query_why_options){0}).hint);
    scene_end(&scene);
}

static void random_runs_are_told_whole(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct scene scene;
        static struct random_wakes wakes;
        scene_begin(&scene, false, false);
        random_wakes_play(&scene, &wakes, seed, 4000);
        scene_freeze(&scene, wakes.now_ns + 1);
        for (int i = 0; i < 20; i++) {
            scene_ask_anew(&scene);
            scene.view.has_from = i > 0;
            scene.view.from_ns = (int64_t)random_life_below(
                &wakes.chance, scene.snapshot->now_ns - scene.snapshot->start_ns - 1);
            struct why_result result = ask(&scene, (struct query_why_options){.max_frames = 2});
            check(&result);
            assert_true(result.n_segments == result.all_segments);
        }
        scene_end(&scene);
    }
}

/* More segments than are kept: the first ones are in the sums only. */
static void the_number_of_segments_is_bounded(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_start(&scene, 1000, TEST_PID, "main");
    for (uint64_t i = 0; i < 60000; i++) {
        tell_out(scene.aggregate, 2000 + i * 100, TEST_PID, false);
        tell_in(scene.aggregate, 2050 + i * 100, TEST_PID);
    }
    scene_freeze(&scene, 2000 + 6000000);
    struct why_result result = ask(&scene, (struct query_why_options){0});
    assert_int_equal(result.all_segments, 120001);
    assert_int_equal(result.n_segments, 100000);
    assert_int_equal(result.unkept_segments, 20001);
    uint64_t sum_ns = 0;
    for (size_t i = 0; i < result.n_summary; i++) {
        sum_ns += result.summary[i].total_ns;
    }
    assert_int_equal(sum_ns, result.total_ns);
    scene_end(&scene);
}

/* What was folded away to save memory is one segment of which nothing is known. */
static void a_folded_start_is_not_known(void **state)
{
    (void)state;
    struct scene scene;
    static struct random_wakes wakes;
    const struct aggregate_config config = {.max_memory_bytes = 6u << 20};
    scene_begin(&scene, false, false);
    scene.aggregate = aggregate_free(scene.aggregate);
    assert_int_equal(aggregate_new(&config, &scene.aggregate), 0);
    random_wakes_play(&scene, &wakes, 11, 300000);
    scene_freeze(&scene, wakes.now_ns);
    const struct snapshot *snapshot = scene.snapshot;
    assert_true(snapshot->folded_until_ns > snapshot->start_ns);
    struct why_result result = ask(&scene, (struct query_why_options){.max_frames = 1});
    assert_non_null(strstr(result.hint, "--max-memory"));
    uint64_t sum_ns = 0, unknown_ns = 0;
    for (size_t i = 0; i < result.n_summary; i++) {
        sum_ns += result.summary[i].total_ns;
        unknown_ns += result.summary[i].kind == WHY_KIND_UNKNOWN ? result.summary[i].total_ns : 0;
    }
    assert_int_equal(sum_ns, result.total_ns);
    assert_true(unknown_ns >= snapshot->folded_until_ns - snapshot->start_ns);

    struct timeline_result timeline;
    const struct query_timeline_options options = {.buckets = 50};
    assert_int_equal(query_timeline(&scene.context, &options, &timeline, &scene.error), 0);
    assert_int_equal(timeline.known_ns, snapshot->folded_until_ns - snapshot->start_ns);
    assert_non_null(strstr(timeline.hint, "--max-memory"));
    assert_int_equal(timeline.rows[0].cpu_by_bucket_ns[0], 0);
    assert_true(timeline.rows[0].cpu_by_bucket_ns[49] > 0);

    struct intervals_result intervals;
    const struct query_intervals_options few = {.limit = 20};
    assert_int_equal(query_intervals(&scene.context, &few, &intervals, &scene.error), 0);
    assert_true(intervals.intervals < wakes.n_waits);
    assert_non_null(strstr(intervals.hint, "folded"));
    scene_end(&scene);
}

static void too_little_memory_is_told(void **state)
{
    (void)state;
    struct scene scene;
    static struct random_wakes wakes;
    struct why_result result;
    const struct query_why_options options = {0};
    scene_begin(&scene, false, false);
    random_wakes_play(&scene, &wakes, 5, 3000);
    scene_freeze(&scene, wakes.now_ns);
    for (size_t limit = 16; limit <= 65536; limit *= 4) {
        scene_ask_anew(&scene);
        scene.arena.max_bytes = limit;
        assert_int_equal(query_why(&scene.context, &options, &result, &scene.error), -ENOMEM);
    }
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_told_whole),
        cmocka_unit_test(a_limit_shows_the_end),
        cmocka_unit_test(the_thread_can_be_chosen),
        cmocka_unit_test(the_end_of_a_process_is_that_of_its_main_thread),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(what_is_not_recorded_is_said),
        cmocka_unit_test(random_runs_are_told_whole),
        cmocka_unit_test(the_number_of_segments_is_bounded),
        cmocka_unit_test(a_folded_start_is_not_known),
        cmocka_unit_test(too_little_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
