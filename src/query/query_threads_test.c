/* SPDX-License-Identifier: MIT */
#include "query/lane_test.h"
#include "query/wait_test.h"

#include <errno.h>
#include <string.h>

static const struct query_threads_options no_limit = {0};

static struct threads_result ask(struct scene *scene, uint32_t limit)
{
    const struct query_threads_options options = {.limit = limit};
    struct threads_result result;
    assert_int_equal(query_threads(&scene->context, &options, &result, &scene->error), 0);
    return result;
}

static void tell_three(struct scene *scene)
{
    tell_mapped(scene->aggregate, 1000, 0x1000, 0x9000, 0, "/bin/prog");
    const uint64_t ip = 0x1000;
    tell_thread(scene->aggregate, 1000, TEST_PID, EVENT_THREAD_PRESENT, "main");
    tell_in(scene->aggregate, 1000, TEST_PID);
    tell_sample(scene->aggregate, 1100, TEST_PID, &ip, 1);
    tell_sample(scene->aggregate, 1200, TEST_PID, &ip, 1);
    tell_out(scene->aggregate, 1200, TEST_PID, false);
    tell_thread(scene->aggregate, 1300, 2, EVENT_THREAD_BORN, NULL);
    tell_in(scene->aggregate, 1310, 2);
    tell_thread(scene->aggregate, 1350, 2, EVENT_THREAD_NAMED, "worker");
    tell_out(scene->aggregate, 1400, 2, true);
    tell_in(scene->aggregate, 1450, 2);
    tell_thread(scene->aggregate, 1900, 2, EVENT_THREAD_GONE, NULL);
    tell_thread(scene->aggregate, 1900, 3, EVENT_THREAD_PRESENT, "sleeper");
    scene_freeze(scene, 2000);
}

static void rows_tell_what_threads_did(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_three(&scene);
    struct threads_result result = ask(&scene, 0);
    assert_int_equal(result.threads, 3);
    assert_int_equal(result.n_rows, 3);
    assert_null(result.hint);
    assert_int_equal(result.run.id, 7);
    assert_int_equal(result.run.duration_ns, 1000);

    const struct thread_row *worker = &result.rows[0], *leader = &result.rows[1];
    assert_int_equal(worker->tid, 2);
    assert_int_equal(worker->pid, TEST_PID);
    assert_string_equal(worker->name, "worker");
    assert_int_equal(worker->kind, THREAD_KIND_THREAD);
    assert_false(worker->is_alive);
    assert_int_equal(worker->start_ns, 300);
    assert_int_equal(worker->end_ns, 900);
    assert_int_equal(worker->cpu_ns, 90 + 450);
    assert_int_equal(worker->runq_ns, 10 + 50);
    assert_int_equal(worker->off_cpu_ns, 0);
    assert_int_equal(worker->involuntary_switches, 1);
    assert_int_equal(worker->voluntary_switches, 0);

    assert_int_equal(leader->tid, TEST_PID);
    assert_string_equal(leader->name, "main");
    assert_true(leader->is_alive);
    assert_int_equal(leader->start_ns, 0);
    assert_int_equal(leader->end_ns, 1000);
    assert_int_equal(leader->cpu_ns, 200);
    assert_int_equal(leader->off_cpu_ns, 800);
    assert_int_equal(leader->samples, 2);
    assert_int_equal(leader->voluntary_switches, 1);
    assert_int_equal(result.rows[2].tid, 3);
    assert_int_equal(result.rows[2].off_cpu_ns, 100);

    assert_int_equal(result.totals.cpu_ns, 740);
    assert_int_equal(result.totals.active_ns, 740);
    assert_int_equal(result.totals.runq_ns, 60);
    assert_int_equal(result.totals.off_cpu_ns, 900);
    assert_int_equal(result.totals.samples, 2);
    scene_end(&scene);
}

static void a_limit_cuts_rows_and_no_sums(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_three(&scene);
    struct threads_result result = ask(&scene, 1);
    assert_int_equal(result.n_rows, 1);
    assert_int_equal(result.threads, 3);
    assert_int_equal(result.rows[0].tid, 2);
    assert_int_equal(result.totals.cpu_ns, 740);
    assert_int_equal(ask(&scene, 3).n_rows, 3);
    assert_int_equal(ask(&scene, 100).n_rows, 3);
    scene_end(&scene);
}

static void a_range_has_the_threads_that_lived_in_it(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_three(&scene);
    scene.view = (struct view){.has_from = true, .has_to = true, .from_ns = 100, .to_ns = 250};
    struct threads_result result = ask(&scene, 0);
    assert_int_equal(result.threads, 1); /* the others were not there yet */
    assert_int_equal(result.rows[0].tid, TEST_PID);
    assert_int_equal(result.rows[0].cpu_ns, 100);
    assert_int_equal(result.rows[0].off_cpu_ns, 50);
    assert_int_equal(result.rows[0].end_ns, 250); /* of a living one the end of the view */
    assert_int_equal(result.view.from_ns, 100);
    assert_int_equal(result.view.to_ns, 250);

    scene.view = (struct view){.has_from = true, .has_to = true, .from_ns = 350, .to_ns = 950};
    result = ask(&scene, 0);
    assert_int_equal(result.threads, 3);
    assert_int_equal(result.rows[0].tid, 2);
    assert_int_equal(result.rows[0].cpu_ns, 50 + 450);
    assert_int_equal(result.rows[0].runq_ns, 50);
    assert_int_equal(result.rows[0].end_ns, 900);

    int64_t tids[] = {3, TEST_PID};
    scene.view = (struct view){.n_tids = 2, .tids = tids};
    result = ask(&scene, 0);
    assert_int_equal(result.threads, 2);
    assert_int_equal(result.totals.cpu_ns, 200);
    assert_int_equal(result.view.n_tids, 2);
    scene_end(&scene);
}

static void rows_are_in_order_and_sum_to_the_totals(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct scene scene;
        scene_begin(&scene, false, seed % 4 == 0);
        struct random_life life = {
            .state = seed, .n_threads = 40, .sample_pct = 20, .has_switches = seed % 4 != 0};
        random_life_play(&life, scene.aggregate, 3000);
        scene_freeze(&scene, life.now_ns);
        for (int i = 0; i < 6; i++) {
            char pattern[] = "life+0x1", *patterns[] = {pattern};
            scene_ask_anew(&scene);
            scene.view.has_from = i % 2;
            scene.view.from_ns = 1000;
            scene.view.n_exclude = i / 2 == 1;
            scene.view.n_focus = i / 2 == 2;
            scene.view.exclude = scene.view.focus = patterns;
            struct threads_result result = ask(&scene, 0);
            struct totals sum = {0};
            for (size_t k = 0; k < result.n_rows; k++) {
                const struct thread_row *row = &result.rows[k];
                sum.cpu_ns += row->cpu_ns;
                sum.off_cpu_ns += row->off_cpu_ns;
                sum.runq_ns += row->runq_ns;
                sum.samples += row->samples;
                assert_true(k == 0 || row[-1].cpu_ns >= row->cpu_ns);
            }
            assert_int_equal(sum.cpu_ns, result.totals.cpu_ns);
            assert_int_equal(sum.off_cpu_ns, result.totals.off_cpu_ns);
            assert_int_equal(sum.runq_ns, result.totals.runq_ns);
            assert_int_equal(sum.samples, result.totals.samples);
        }
        scene_end(&scene);
    }
}

static void refusals_and_empty_runs(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    scene_freeze(&scene, 10);
    struct threads_result result = ask(&scene, 0);
    assert_int_equal(result.n_rows, 0);
    assert_non_null(result.hint);
    scene.view = (struct view){.has_from = true, .from_ns = 100};
    assert_int_equal(query_threads(&scene.context, &no_limit, &result, &scene.error), -EINVAL);
    assert_string_equal(scene.error.code, "invalid_params");
    scene_end(&scene);
}

static void reasons_sum_to_the_blocked_time(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_waits(&scene);
    struct threads_result result = ask(&scene, 0);
    assert_int_equal(result.n_rows, 2);
    for (size_t i = 0; i < 2; i++) {
        struct thread_row *row = &result.rows[i];
        bool is_main = row->tid == TEST_PID;
        struct off_cpu_by_reason *times = &row->off_cpu_by_reason_ns;
        uint64_t sum_ns = 0;
        for (enum wait_reason reason = 0; reason < WAIT_REASON_N; reason++) {
            sum_ns += *off_cpu_by_reason_at(times, reason);
        }
        assert_int_equal(sum_ns, row->off_cpu_ns);
        assert_int_equal(row->off_cpu_ns, is_main ? 5500 : 4300);
        assert_int_equal(times->ready_ns, is_main ? 5000 : 0);
        assert_int_equal(times->lock_ns, is_main ? 500 : 300);
        assert_int_equal(times->sleep_ns, is_main ? 0 : 4000);
        assert_string_equal(row->blocked, is_main ? "ready" : "sleep");
    }
    scene_end(&scene);
}

static void lanes_have_rows_of_their_own(void **state)
{
    (void)state;
    struct scene scene;
    lane_test_begin(&scene);
    struct threads_result result = ask(&scene, 0);
    assert_int_equal(result.threads, 3);
    assert_int_equal(result.n_rows, 3);
    assert_int_equal(result.totals.target_ns, 1250);
    assert_int_equal(result.totals.active_ns, 2250);
    assert_int_equal(result.totals.spans, 6);
    assert_int_equal(result.rows[0].kind, THREAD_KIND_THREAD);
    assert_int_equal(result.rows[0].target_ns, 0); /* what it queued is not its own */
    const struct thread_row *decoder = &result.rows[1], *gpu = &result.rows[2];
    assert_int_equal(decoder->kind, THREAD_KIND_TARGET);
    assert_string_equal(decoder->name, "decoder");
    assert_int_equal(decoder->tid, LANE_TID_FIRST + LANE_DECODER);
    assert_int_equal(decoder->pid, TEST_PID);
    assert_int_equal(decoder->target_ns, 900);
    assert_int_equal(decoder->spans, 4);
    assert_int_equal(decoder->start_ns, 0);
    assert_int_equal(decoder->end_ns, 1000);
    assert_int_equal(decoder->cpu_ns, 0);
    assert_string_equal(gpu->name, "GPU 0");
    assert_int_equal(gpu->target_ns, 350);
    assert_int_equal(gpu->spans, 2);
    assert_int_equal(gpu->start_ns, 100);
    assert_int_equal(gpu->end_ns, 400);

    tell_thread(scene.aggregate, LANE_TEST_NS + 1000, 5, EVENT_THREAD_BORN, "idle");
    scene_freeze(&scene, LANE_TEST_NS + 1000);
    result = ask(&scene, 1); /* lanes are told all the same */
    assert_int_equal(result.threads, 4);
    assert_int_equal(result.n_rows, 3);
    assert_int_equal(result.rows[0].tid, TEST_PID);
    assert_string_equal(result.rows[1].name, "decoder");
    assert_string_equal(result.rows[2].name, "GPU 0");
    scene_end(&scene);
}

static void views_choose_lanes_too(void **state)
{
    (void)state;
    struct scene scene;
    lane_test_begin(&scene);
    int64_t tids[] = {LANE_TID_FIRST + LANE_GPU, TEST_PID};
    scene.view = (struct view){.n_tids = 1, .tids = tids};
    struct threads_result result = ask(&scene, 0);
    assert_int_equal(result.n_rows, 1);
    assert_string_equal(result.rows[0].name, "GPU 0");
    assert_int_equal(result.totals.active_ns, 350);
    assert_int_equal(result.totals.cpu_ns, 0);
    scene.view.n_tids = 2;
    result = ask(&scene, 0);
    assert_int_equal(result.n_rows, 2);
    assert_int_equal(result.totals.active_ns, 1350);
    tids[0] = LANE_TID_FIRST + 2; /* there is none */
    scene.view.n_tids = 1;
    assert_int_equal(query_threads(&scene.context, &no_limit, &result, &scene.error), -EINVAL);
    assert_string_equal(scene.error.code, "not_found");

    scene.view = (struct view){.has_from = true, .has_to = true, .from_ns = 450, .to_ns = 950};
    result = ask(&scene, 0);
    assert_int_equal(result.n_rows, 2); /* the GPU has ended before */
    assert_string_equal(result.rows[1].name, "decoder");
    assert_int_equal(result.rows[1].target_ns, 350 + 50);
    assert_int_equal(result.rows[1].spans, 3);
    assert_int_equal(result.totals.cpu_ns, 500);
    assert_int_equal(result.totals.active_ns, 900);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_tell_what_threads_did),
        cmocka_unit_test(a_limit_cuts_rows_and_no_sums),
        cmocka_unit_test(a_range_has_the_threads_that_lived_in_it),
        cmocka_unit_test(rows_are_in_order_and_sum_to_the_totals),
        cmocka_unit_test(refusals_and_empty_runs),
        cmocka_unit_test(reasons_sum_to_the_blocked_time),
        cmocka_unit_test(lanes_have_rows_of_their_own),
        cmocka_unit_test(views_choose_lanes_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
