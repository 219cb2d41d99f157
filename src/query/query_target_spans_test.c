/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "query/span_test.h"

static struct target_spans_result ask(struct scene *scene,
                                      struct query_target_spans_options options)
{
    struct target_spans_result result;
    assert_int_equal(query_target_spans(&scene->context, &options, &result, &scene->error), 0);
    return result;
}

static void spans_tell_all_that_is_known(void **state)
{
    (void)state;
    struct scene scene;
    span_test_begin(&scene);
    struct target_spans_result result = ask(&scene, (struct query_target_spans_options){0});
    assert_int_equal(result.spans, 7);
    assert_int_equal(result.n_rows, 7);
    assert_null(result.hint);
    const struct target_span_row *row = &result.rows[0];
    assert_string_equal(row->name, "kernel");
    assert_string_equal(row->lane, "GPU 0");
    assert_int_equal(row->start_ns, 15 * SPAN_MS);
    assert_int_equal(row->duration_ns, 25 * SPAN_MS);
    assert_int_equal(row->origin.state, ORIGIN_LINKED);
    assert_string_equal(row->origin.stack[0].name, "walk_tree");
    assert_false(row->has_wait || row->has_completion || row->has_source);

    row = &result.rows[2]; /* 25, 20, then this one of 10 */
    assert_int_equal(row->duration_ns, 10 * SPAN_MS);
    assert_int_equal(row->tid, LANE_TID_FIRST + LANE_GPU);
    assert_int_equal(row->kind, LANE_KIND_GPU);
    assert_int_equal(row->origin.tid, TEST_PID);
    assert_string_equal(row->origin.name, "main");
    assert_true(row->origin.has_time && row->origin.has_distance);
    assert_int_equal(row->origin.time_ns, 9 * SPAN_MS);
    assert_int_equal(row->origin.distance_ns, 0);
    assert_int_equal(row->origin.n_stack, 2);
    assert_string_equal(row->origin.stack[0].name, "hash_key");
    assert_int_equal(row->queue_id, 3);
    assert_int_equal(row->command_buffer_id, 0);
    assert_int_equal(row->dispatch_id, 12);
    assert_true(row->has_wait && row->has_completion && row->has_source);
    assert_int_equal(row->wait.tid, TEST_PID);
    assert_string_equal(row->wait.name, "main");
    assert_int_equal(row->wait.start_ns, 12 * SPAN_MS);
    assert_int_equal(row->wait.end_ns, 21 * SPAN_MS);
    assert_int_equal(row->wait.waited_ns, 8 * SPAN_MS);
    assert_string_equal(row->completion.name, "worker");
    assert_int_equal(row->completion.time_ns, 22 * SPAN_MS);
    assert_null(row->source.file);
    assert_string_equal(row->source.function, "kernel");
    assert_int_equal(row->source.line, 7);
    assert_int_equal(row->n_counters, 1);
    assert_string_equal(row->counters[0].name, "decode");
    assert_string_equal(row->counters[0].unit, "filter");
    assert_true(row->counters[0].value == 2.5);
    assert_int_equal(row->n_attachments, 1);
    assert_string_equal(row->attachments[0].label, "frame");
    assert_int_equal(row->attachments[0].size_bytes, 4096);
    assert_int_equal(row->attachments[0].n_dimensions, 2);
    assert_int_equal(row->attachments[0].dimensions[1], 480);

    row = &result.rows[6];
    assert_int_equal(row->origin.state, ORIGIN_MISSING);
    assert_false(row->origin.has_time || row->origin.has_distance);
    assert_int_equal(row->origin.n_stack, 0);
    scene_end(&scene);
}

/* A start before the recording is one: with its length a span ends where it ended. */
static void spans_can_begin_before_the_run(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_in(scene.aggregate, LANE_TEST_NS + 5 * SPAN_MS, TEST_PID); /* the first event of all */
    span_test_tell_names(scene.aggregate);
    const struct event_span_details details = {
        .wait = {.pid = TEST_PID, .tid = TEST_PID, .time_ns = LANE_TEST_NS + 2 * SPAN_MS},
        .wait_end_ns = LANE_TEST_NS + 7 * SPAN_MS,
        .completion = {.pid = TEST_PID, .tid = TEST_PID, .time_ns = UINT64_MAX},
    };
    span_test_tell(scene.aggregate, (struct span_told){LANE_GPU, SPAN_KERNEL, SPAN_MS, 8 * SPAN_MS,
                                                       TEST_PID, 0, 0, &details});
    span_test_end(&scene);
    struct target_spans_result result = ask(&scene, (struct query_target_spans_options){0});
    assert_int_equal(result.n_rows, 1);
    const struct target_span_row *row = &result.rows[0];
    assert_int_equal(row->start_ns, -4 * (int64_t)SPAN_MS);
    assert_int_equal(row->duration_ns, 7 * SPAN_MS);
    assert_true(row->origin.has_time);
    assert_int_equal(row->origin.time_ns, -5 * (int64_t)SPAN_MS);
    assert_int_equal(row->wait.start_ns, -3 * (int64_t)SPAN_MS);
    assert_int_equal(row->wait.end_ns, 2 * (int64_t)SPAN_MS);
    assert_true(row->completion.time_ns == INT64_MAX);
    scene_end(&scene);
}

static void the_latest_can_be_asked_for(void **state)
{
    (void)state;
    struct scene scene;
    span_test_begin(&scene);
    const struct query_target_spans_options latest = {
        .order = TARGET_SPANS_ORDER_LATEST, .limit = 2, .max_frames = 1};
    struct target_spans_result result = ask(&scene, latest);
    assert_int_equal(result.spans, 7);
    assert_int_equal(result.n_rows, 2);
    assert_int_equal(result.rows[0].start_ns, 70 * SPAN_MS);
    assert_int_equal(result.rows[0].origin.state, ORIGIN_TOO_FAR);
    assert_true(result.rows[0].origin.has_distance);
    assert_int_equal(result.rows[0].origin.distance_ns, 50 * SPAN_MS);
    assert_int_equal(result.rows[1].start_ns, 50 * SPAN_MS);
    scene_end(&scene);
}

static void views_choose_spans(void **state)
{
    (void)state;
    struct scene scene;
    span_test_begin(&scene);
    struct target_spans_result result =
        ask(&scene, (struct query_target_spans_options){.choice = {.lane = "dec", .name = "fil"}});
    assert_int_equal(result.spans, 1);
    assert_int_equal(result.n_rows, 1);
    assert_int_equal(result.rows[0].n_path, 1);
    assert_string_equal(result.rows[0].path[0], "frame");
    scene.view = (struct view){
        .has_from = true, .from_ns = 30 * SPAN_MS, .has_to = true, .to_ns = 50 * SPAN_MS};
    result = ask(&scene, (struct query_target_spans_options){0});
    assert_int_equal(result.n_rows, 1); /* what ends at 30 or begins at 50 is outside */
    assert_int_equal(result.rows[0].start_ns, 15 * SPAN_MS);
    int64_t worker[] = {SPAN_WORKER_TID};
    scene.view = (struct view){.n_tids = 1, .tids = worker};
    assert_int_equal(ask(&scene, (struct query_target_spans_options){0}).n_rows, 4);
    scene_end(&scene);
}

/* ---- against all of them ---- */

enum { RANDOM_SPANS = 9000 };

static int by_length(const void *left, const void *right)
{
    const struct span_told *a = left, *b = right;
    uint64_t a_ns = a->end_ns - a->start_ns, b_ns = b->end_ns - b->start_ns;
    return a_ns > b_ns ? -1 : a_ns < b_ns;
}

static void the_longest_are_the_longest(void **state)
{
    (void)state;
    static struct span_told told[RANDOM_SPANS];
    struct scene scene;
    span_test_begin_random(&scene, told, RANDOM_SPANS);
    qsort(told, RANDOM_SPANS, sizeof(*told), by_length);
    static const uint32_t limits[] = {1, 5, 16, 20, 100, 5000, 0};
    for (size_t k = 0; k < sizeof(limits) / sizeof(limits[0]); k++) {
        struct target_spans_result result =
            ask(&scene, (struct query_target_spans_options){.limit = limits[k]});
        size_t n = limits[k] > 0 ? limits[k] : RANDOM_SPANS;
        assert_int_equal(result.spans, RANDOM_SPANS);
        assert_int_equal(result.n_rows, n);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(result.rows[i].duration_ns, told[i].end_ns - told[i].start_ns);
        }
    }
    scene_end(&scene);
}

static void too_little_memory_is_told(void **state)
{
    (void)state;
    struct scene scene;
    span_test_begin(&scene);
    const struct query_target_spans_options options = {0};
    struct target_spans_result result;
    for (size_t limit = 16; limit <= 1024; limit *= 2) {
        scene_ask_anew(&scene);
        scene.arena.max_bytes = limit;
        assert_int_equal(query_target_spans(&scene.context, &options, &result, &scene.error),
                         -ENOMEM);
    }
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_tell_all_that_is_known),
        cmocka_unit_test(spans_can_begin_before_the_run),
        cmocka_unit_test(the_latest_can_be_asked_for),
        cmocka_unit_test(views_choose_spans),
        cmocka_unit_test(the_longest_are_the_longest),
        cmocka_unit_test(too_little_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
