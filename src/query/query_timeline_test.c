/* SPDX-License-Identifier: MIT */
#include "query/lane_test.h"
#include "query/wake_test.h"

#include <errno.h>

static struct timeline_result ask(struct scene *scene, uint32_t buckets, uint32_t limit)
{
    const struct query_timeline_options options = {.buckets = buckets, .limit = limit};
    struct timeline_result result;
    assert_int_equal(query_timeline(&scene->context, &options, &result, &scene->error), 0);
    return result;
}

static void refuse(struct scene *scene, uint32_t buckets, const char *code)
{
    const struct query_timeline_options options = {.buckets = buckets};
    struct timeline_result result;
    assert_int_equal(query_timeline(&scene->context, &options, &result, &scene->error), -EINVAL);
    assert_string_equal(scene->error.code, code);
}

static void buckets_have_what_happened_in_them(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_start(&scene, 1000, TEST_PID, "main");
    tell_out(scene.aggregate, 1250, TEST_PID, false);
    tell_woken_by(&scene, 1700, TEST_PID, 1600, EVENT_NO_WAKER, 0);
    tell_start(&scene, 1500, 2, "late");
    scene_freeze(&scene, 2000);

    struct timeline_result result = ask(&scene, 10, 0);
    assert_int_equal(result.buckets, 10);
    assert_int_equal(result.bucket_ns, 100);
    assert_int_equal(result.threads, 2);
    assert_int_equal(result.known_ns, 0);
    assert_null(result.hint);
    const struct timeline_row *main_row = &result.rows[0], *late = &result.rows[1];
    assert_string_equal(main_row->name, "main");
    assert_int_equal(main_row->cpu_ns, 250 + 300);
    assert_int_equal(main_row->off_cpu_ns, 350);
    assert_int_equal(main_row->runq_ns, 100);
    assert_int_equal(main_row->n_cpu_by_bucket_ns, 10);
    const uint64_t cpu_ns[] = {100, 100, 50, 0, 0, 0, 0, 100, 100, 100};
    const uint64_t off_ns[] = {0, 0, 50, 100, 100, 100, 0, 0, 0, 0};
    const uint64_t runq_ns[] = {0, 0, 0, 0, 0, 0, 100, 0, 0, 0};
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(main_row->cpu_by_bucket_ns[i], cpu_ns[i]);
        assert_int_equal(main_row->off_cpu_by_bucket_ns[i], off_ns[i]);
        assert_int_equal(main_row->runq_by_bucket_ns[i], runq_ns[i]);
        assert_int_equal(late->cpu_by_bucket_ns[i], i < 5 ? 0 : 100);
    }
    assert_int_equal(late->start_ns, 500);
    scene_end(&scene);
}

static void ranges_are_cut_evenly(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_start(&scene, 1000, TEST_PID, "main");
    scene_freeze(&scene, 2000);
    scene.view = (struct view){.has_from = true, .from_ns = 100, .has_to = true, .to_ns = 110};
    struct timeline_result result = ask(&scene, 4, 0); /* 3, 3, 3 and 1 ns */
    assert_int_equal(result.buckets, 4);
    assert_int_equal(result.bucket_ns, 3);
    assert_int_equal(result.rows[0].cpu_by_bucket_ns[2], 3);
    assert_int_equal(result.rows[0].cpu_by_bucket_ns[3], 1);
    assert_int_equal(result.rows[0].cpu_ns, 10);
    result = ask(&scene, 1000, 0); /* no bucket is shorter than 1 ns */
    assert_int_equal(result.buckets, 10);
    assert_int_equal(result.bucket_ns, 1);
    result = ask(&scene, 1, 0);
    assert_int_equal(result.buckets, 1);
    assert_int_equal(result.rows[0].cpu_by_bucket_ns[0], 10);
    scene_end(&scene);
}

/* Of each thread, and for each bucket on its own, what `threads` says. */
static void buckets_sum_to_what_threads_says(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct scene scene;
        static struct random_wakes wakes;
        const struct query_threads_options no_limit = {0};
        struct threads_result threads;
        scene_begin(&scene, false, false);
        random_wakes_play(&scene, &wakes, seed, 3000);
        if (seed % 2) {
            aggregate_end(scene.aggregate, wakes.now_ns + 777);
        }
        scene_freeze(&scene, wakes.now_ns + 777);
        for (int i = 0; i < 6; i++) {
            scene_ask_anew(&scene);
            scene.view.has_from = scene.view.has_to = i > 0;
            scene.view.from_ns = i * 1000 * (int64_t)TEST_MS;
            scene.view.to_ns = (i + 1) * 1777 * (int64_t)TEST_MS;
            assert_int_equal(query_threads(&scene.context, &no_limit, &threads, &scene.error), 0);
            struct timeline_result result = ask(&scene, 37, 0);
            assert_int_equal(result.n_rows, threads.n_rows);
            assert_int_equal(result.totals.off_cpu_ns, threads.totals.off_cpu_ns);
            for (size_t k = 0; k < result.n_rows; k++) {
                const struct timeline_row *row = &result.rows[k];
                uint64_t cpu_ns = 0, runq_ns = 0, off_cpu_ns = 0;
                for (size_t b = 0; b < row->n_cpu_by_bucket_ns; b++) {
                    cpu_ns += row->cpu_by_bucket_ns[b];
                    runq_ns += row->runq_by_bucket_ns[b];
                    off_cpu_ns += row->off_cpu_by_bucket_ns[b];
                    assert_true(row->cpu_by_bucket_ns[b] + row->runq_by_bucket_ns[b] +
                                    row->off_cpu_by_bucket_ns[b] <=
                                result.bucket_ns);
                }
                assert_int_equal(row->tid, threads.rows[k].tid);
                assert_int_equal(cpu_ns, threads.rows[k].cpu_ns);
                assert_int_equal(runq_ns, threads.rows[k].runq_ns);
                assert_int_equal(off_cpu_ns, threads.rows[k].off_cpu_ns);
                assert_int_equal(row->cpu_ns, cpu_ns);
            }
        }
        scene_end(&scene);
    }
}

static void a_limit_keeps_the_busiest(void **state)
{
    (void)state;
    struct scene scene;
    static struct random_wakes wakes;
    scene_begin(&scene, false, false);
    random_wakes_play(&scene, &wakes, 3, 3000);
    scene_freeze(&scene, wakes.now_ns);
    struct timeline_result all = ask(&scene, 10, 0), some = ask(&scene, 10, 3);
    assert_int_equal(some.n_rows, 3);
    assert_int_equal(some.threads, RANDOM_WAKES_THREADS);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(some.rows[i].tid, all.rows[i].tid);
        assert_int_equal(some.rows[i].cpu_ns, all.rows[i].cpu_ns);
    }
    int64_t tids[] = {all.rows[5].tid};
    scene.view = (struct view){.n_tids = 1, .tids = tids};
    some = ask(&scene, 10, 0);
    assert_int_equal(some.n_rows, 1);
    assert_int_equal(some.rows[0].cpu_ns, all.rows[5].cpu_ns);
    scene_end(&scene);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    struct scene scene;
    char pattern[] = "x", *patterns[] = {pattern};
    scene_begin(&scene, false, false);
    tell_start(&scene, 1000, TEST_PID, "main");
    scene_freeze(&scene, 2000);
    refuse(&scene, 0, "invalid_params");
    refuse(&scene, QUERY_TIMELINE_MAX_BUCKETS + 1, "invalid_params");
    scene.view = (struct view){.n_exclude = 1, .exclude = patterns};
    refuse(&scene, 10, "not_supported");
    scene.view = (struct view){.n_focus = 1, .focus = patterns};
    refuse(&scene, 10, "not_supported");
    scene.view = (struct view){0};
    scene_ask_anew(&scene);
    scene.arena.max_bytes = 64;
    struct timeline_result result;
    const struct query_timeline_options options = {.buckets = 10};
    assert_int_equal(query_timeline(&scene.context, &options, &result, &scene.error), -ENOMEM);
    scene_end(&scene);

    scene_begin(&scene, false, true);
    scene_freeze(&scene, 10);
    refuse(&scene, 10, "not_supported");
    scene_end(&scene);
}

static void an_empty_run_has_no_rows(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    scene_freeze(&scene, 10);
    struct timeline_result result = ask(&scene, 10, 0);
    assert_int_equal(result.n_rows, 0);
    assert_non_null(result.hint);
    scene_end(&scene);
}

static void lanes_have_buckets_of_their_own(void **state)
{
    (void)state;
    struct scene scene;
    lane_test_begin(&scene);
    const struct query_timeline_options options = {.buckets = 10, .limit = 1};
    struct timeline_result result;
    assert_int_equal(query_timeline(&scene.context, &options, &result, &scene.error), 0);
    assert_int_equal(result.bucket_ns, 100);
    assert_int_equal(result.threads, 3);
    assert_int_equal(result.n_rows, 3);
    assert_int_equal(result.totals.active_ns, 2250);
    assert_int_equal(result.rows[0].kind, THREAD_KIND_THREAD);
    assert_int_equal(result.rows[0].n_target_by_bucket_ns, 0);
    const struct timeline_row *decoder = &result.rows[1], *gpu = &result.rows[2];
    assert_int_equal(decoder->kind, THREAD_KIND_TARGET);
    assert_string_equal(decoder->name, "decoder");
    assert_int_equal(decoder->n_cpu_by_bucket_ns, 0);
    assert_int_equal(decoder->target_ns, 900);
    assert_int_equal(decoder->spans, 4);
    assert_int_equal(decoder->n_target_by_bucket_ns, 10);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(decoder->target_by_bucket_ns[i], i == 8 ? 0 : 100);
        bool begins_one = i == 0 || i == 1 || i == 4 || i == 9;
        assert_int_equal(decoder->spans_by_bucket[i], begins_one);
    }
    /* From 250 to 300 it does two things at once. */
    static const uint64_t gpu_ns[] = {0, 100, 150, 100, 0, 0, 0, 0, 0, 0};
    assert_int_equal(gpu->target_ns, 350);
    assert_memory_equal(gpu->target_by_bucket_ns, gpu_ns, sizeof(gpu_ns));

    scene.view = (struct view){.has_from = true, .has_to = true, .from_ns = 350, .to_ns = 450};
    const struct query_timeline_options halves = {.buckets = 2};
    assert_int_equal(query_timeline(&scene.context, &halves, &result, &scene.error), 0);
    assert_int_equal(result.n_rows, 3);
    decoder = &result.rows[1];
    assert_int_equal(decoder->target_ns, 100);
    assert_int_equal(decoder->spans, 3);
    assert_int_equal(decoder->spans_by_bucket[0], 0);
    assert_int_equal(decoder->spans_by_bucket[1], 1);
    assert_int_equal(result.rows[2].target_by_bucket_ns[0], 50);
    assert_int_equal(result.rows[2].target_by_bucket_ns[1], 0);

    int64_t tids[] = {LANE_TID_FIRST + LANE_GPU};
    scene.view = (struct view){.n_tids = 1, .tids = tids};
    assert_int_equal(query_timeline(&scene.context, &halves, &result, &scene.error), 0);
    assert_int_equal(result.n_rows, 1);
    assert_null(result.hint);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_have_what_happened_in_them),
        cmocka_unit_test(ranges_are_cut_evenly),
        cmocka_unit_test(buckets_sum_to_what_threads_says),
        cmocka_unit_test(a_limit_keeps_the_busiest),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(an_empty_run_has_no_rows),
        cmocka_unit_test(lanes_have_buckets_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
