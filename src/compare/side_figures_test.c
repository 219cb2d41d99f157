/* SPDX-License-Identifier: MIT */
#include "query/span_test.h"
#include "query/wait_test.h"

#include "compare/side_figures.h"

/* A run in which threads wait, and the same once more. */
static void figures_are_those_of_the_views(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_waits(&scene);
    const struct query_threads_options all = {.limit = 0};
    struct threads_result threads;
    assert_int_equal(query_threads(&scene.context, &all, &threads, &scene.error), 0);
    assert_true(threads.totals.off_cpu_ns > 0);

    const struct query_context contexts[] = {scene.context, scene.context, scene.context};
    for (size_t n_runs = 1; n_runs <= 3; n_runs++) {
        const struct compare_runs runs = {.n_runs = n_runs, .runs = contexts};
        struct compare_side side;
        assert_int_equal(side_figures_sum(&runs, &side, &scene.error), 0);
        assert_int_equal(side.n_runs, n_runs);
        assert_int_equal(side.runs[n_runs - 1], 7);
        assert_int_equal(side.off_cpu_ns, threads.totals.off_cpu_ns);
        assert_int_equal(side.cpu_ns, threads.totals.cpu_ns);
        assert_int_equal(side.active_ns, threads.totals.active_ns);
        assert_int_equal(side.samples, threads.totals.samples);
        assert_int_equal(side.threads, threads.threads);
        assert_int_equal(side.duration_ns, threads.run.duration_ns);
        uint64_t sum_ns = 0;
        for (enum wait_reason reason = 0; reason < WAIT_REASON_N; reason++) {
            sum_ns += *off_cpu_by_reason_at(&side.off_cpu_by_reason_ns, reason);
        }
        assert_int_equal(sum_ns, side.off_cpu_ns);
        assert_true(side.off_cpu_by_reason_ns.sleep_ns > 0);
        assert_int_equal(side.target_ns + side.spans + side.unlinked_origins, 0);
    }
    scene_end(&scene);
}

/* 7 spans: see span_test.h. */
static void spans_are_those_of_the_lanes(void **state)
{
    (void)state;
    static const uint64_t lost[EVENT_SPANS_LOST_CAUSE_N] = {
        [EVENT_SPANS_LOST_TARGET_QUEUE] = 3, [EVENT_SPANS_LOST_NO_SERVER] = 5,
        [EVENT_SPANS_LOST_BAD_DURATION] = 2, [EVENT_SPANS_LOST_OUTSIDE_RUN] = 9,
        [EVENT_SPANS_LOST_MALFORMED] = 9,    [EVENT_SPANS_LOST_QUEUE_FULL] = 4,
    };
    struct scene scene;
    span_test_begin(&scene);
    memcpy(scene.snapshot->spans_lost, lost, sizeof(lost));
    const struct query_threads_options all = {.limit = 0};
    struct threads_result threads;
    assert_int_equal(query_threads(&scene.context, &all, &threads, &scene.error), 0);
    const struct compare_runs runs = {.n_runs = 1, .runs = &scene.context};
    struct compare_side side;
    assert_int_equal(side_figures_sum(&runs, &side, &scene.error), 0);
    assert_int_equal(side.target_ns, threads.totals.target_ns);
    assert_int_equal(side.active_ns, threads.totals.active_ns);
    assert_int_equal(side.spans, 7);
    assert_int_equal(side.missing_origins, 1);
    assert_int_equal(side.unlinked_origins, 1); /* too far */
    assert_int_equal(side.linked_origins, 5);
    assert_int_equal(side.bad_duration_drops, 2);
    assert_int_equal(side.target_queue_drops, 3 + 4);
    assert_int_equal(side.target_ring_drops, 3);
    assert_int_equal(side.server_queue_drops, 4);
    assert_int_equal(side.worker_disconnect_drops, 5);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_those_of_the_views),
        cmocka_unit_test(spans_are_those_of_the_lanes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
