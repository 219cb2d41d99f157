/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <gnu/libc-version.h>

#include "query/queueing_stack.h"
#include "query/span_test.h"

static struct target_origins_result ask(struct scene *scene,
                                        struct query_target_origins_options options)
{
    struct target_origins_result result;
    assert_int_equal(query_target_origins(&scene->context, &options, &result, &scene->error), 0);
    return result;
}

TEST_FUNCTION(stax_origin_capture)
TEST_FUNCTION(target_tid)

static const struct target_origin_row *row_of(const struct target_origins_result *result,
                                              const char *function)
{
    for (size_t i = 0; i < result->n_rows; i++) {
        const struct target_origin_row *row = &result->rows[i];
        if (row->n_stack > 0 && strcmp(row->stack[0].name, function) == 0) {
            return row;
        }
    }
    return NULL;
}

static const struct target_origin_row *row_of_state(const struct target_origins_result *result,
                                                    enum origin_state state)
{
    for (size_t i = 0; i < result->n_rows; i++) {
        if (result->rows[i].state == state) {
            return &result->rows[i];
        }
    }
    return NULL;
}

static void stacks_have_what_they_queued(void **state)
{
    (void)state;
    struct scene scene;
    span_test_begin(&scene);
    struct target_origins_result result = ask(&scene, (struct query_target_origins_options){0});
    assert_int_equal(result.spans, 7);
    assert_int_equal(result.target_ns, 61 * SPAN_MS);
    assert_int_equal(result.origins.linked, 5);
    assert_int_equal(result.origins.too_far, 1);
    assert_int_equal(result.origins.missing, 1);
    assert_int_equal(result.linked.count, 5);
    assert_int_equal(result.linked.max_ns, 0);
    assert_int_equal(result.too_far.count, 1);
    assert_int_equal(result.too_far.min_ns, 50 * SPAN_MS);
    assert_int_equal(result.too_far.avg_ns, 50 * SPAN_MS);
    assert_int_equal(result.bound_ns, 5 * SPAN_MS);
    assert_int_equal(result.origin_rows, 5);
    assert_null(result.hint);
    assert_int_equal(result.rows[0].total_ns, 25 * SPAN_MS); /* by time */
    const struct target_origin_row *row = row_of(&result, "copy_bytes");
    assert_int_equal(row->tid, SPAN_WORKER_TID);
    assert_string_equal(row->thread, "worker");
    assert_string_equal(row->lane, "decoder");
    assert_string_equal(row->name, "frame");
    assert_int_equal(row->lane_tid, LANE_TID_FIRST + LANE_DECODER);
    assert_int_equal(row->names, 3);
    assert_int_equal(row->count, 3);
    assert_int_equal(row->total_ns, 20 * SPAN_MS); /* what is inside of the frame is in it */
    row = row_of(&result, "hash_key");
    assert_int_equal(row->count, 1);
    assert_int_equal(row->total_ns, 10 * SPAN_MS);
    assert_int_equal(row_of(&result, "walk_tree")->total_ns, 25 * SPAN_MS);
    row = row_of_state(&result, ORIGIN_MISSING);
    assert_int_equal(row->tid, 0);
    assert_null(row->thread);
    assert_int_equal(row->count, 1);
    assert_int_equal(row->n_stack, 0);

    result = ask(&scene, (struct query_target_origins_options){.by = TARGET_ORIGINS_BY_NAME});
    assert_int_equal(result.origin_rows, 7); /* the three names of the decoder are apart */
    result = ask(&scene, (struct query_target_origins_options){.limit = 2, .max_frames = 1});
    assert_int_equal(result.n_rows, 2);
    assert_int_equal(result.rows[0].n_stack, 1);
    scene_end(&scene);
}

static void waits_are_told(void **state)
{
    (void)state;
    struct scene scene;
    span_test_begin(&scene);
    for (int is_range = 0; is_range <= 1; is_range++) {
        scene.view = (struct view){.has_from = is_range};
        struct target_origins_result result = ask(&scene, (struct query_target_origins_options){0});
        assert_int_equal(result.waits, 1);
        assert_int_equal(result.waited_ns, 8 * SPAN_MS);
        assert_int_equal(result.wait_rows, 1);
        assert_int_equal(result.n_waiters, 1);
        const struct target_wait_row *row = &result.waiters[0];
        assert_int_equal(row->tid, TEST_PID);
        assert_string_equal(row->thread, "main");
        assert_string_equal(row->lane, "GPU 0");
        assert_string_equal(row->name, "kernel");
        assert_int_equal(row->count, 1);
        assert_int_equal(row->waited_ns, 8 * SPAN_MS);
        assert_string_equal(row->stack[0].name, "hash_key");
    }
    /* Of waits a thread's tid chooses who waited. */
    int64_t worker[] = {SPAN_WORKER_TID};
    scene.view = (struct view){.n_tids = 1, .tids = worker};
    struct target_origins_result result = ask(&scene, (struct query_target_origins_options){0});
    assert_int_equal(result.waits, 0);
    assert_int_equal(result.spans, 4);
    scene_end(&scene);
}

static void patterns_look_at_stacks_too(void **state)
{
    (void)state;
    struct scene scene;
    span_test_begin(&scene);
    char hash[] = "hash_key", kernel[] = "kernel", *patterns[] = {hash};
    scene.view = (struct view){.n_focus = 1, .focus = patterns};
    struct target_origins_result result = ask(&scene, (struct query_target_origins_options){0});
    assert_int_equal(result.spans, 1);
    assert_int_equal(result.waits, 1);
    assert_int_equal(result.linked.count, 1);
    scene.view = (struct view){.n_exclude = 1, .exclude = patterns};
    assert_int_equal(ask(&scene, (struct query_target_origins_options){0}).spans, 6);
    patterns[0] = kernel;
    assert_int_equal(ask(&scene, (struct query_target_origins_options){0}).spans, 4);
    scene_end(&scene);
}

/* A range over everything has what the sums of the run have. */
static void ranges_agree_with_the_whole(void **state)
{
    (void)state;
    enum { N = 4000 };
    static struct span_told told[N];
    struct scene scene;
    span_test_begin_random(&scene, told, N);
    struct target_origins_result whole =
        ask(&scene, (struct query_target_origins_options){.by = TARGET_ORIGINS_BY_NAME});
    assert_int_equal(whole.spans, N);
    assert_true(whole.origins.linked > 0 && whole.origins.missing > 0);
    assert_true(whole.origins.no_sample > 0 && whole.origins.too_far > 0);
    scene.view = (struct view){.has_from = true};
    struct target_origins_result range =
        ask(&scene, (struct query_target_origins_options){.by = TARGET_ORIGINS_BY_NAME});
    assert_memory_equal(&whole.origins, &range.origins, sizeof(whole.origins));
    assert_memory_equal(&whole.linked, &range.linked, sizeof(whole.linked));
    assert_memory_equal(&whole.too_far, &range.too_far, sizeof(whole.too_far));
    assert_int_equal(whole.target_ns, range.target_ns);
    assert_true(whole.waits > 100);
    assert_int_equal(whole.waits, range.waits);
    assert_int_equal(whole.waited_ns, range.waited_ns);
    const struct query_target_top_options all = {0};
    struct target_top_result top;
    assert_int_equal(query_target_top(&scene.context, &all, &top, &scene.error), 0);
    uint64_t n_waits = 0, waited_ns = 0;
    for (size_t i = 0; i < top.n_rows; i++) {
        n_waits += top.rows[i].waits;
        waited_ns += top.rows[i].waited_ns;
    }
    assert_int_equal(whole.waits, n_waits);
    assert_int_equal(whole.waited_ns, waited_ns);
    assert_int_equal(whole.origin_rows, range.origin_rows);
    for (size_t i = 0; i < whole.n_rows; i++) {
        assert_int_equal(whole.rows[i].state, range.rows[i].state);
        assert_int_equal(whole.rows[i].count, range.rows[i].count);
        assert_int_equal(whole.rows[i].total_ns, range.rows[i].total_ns);
        assert_string_equal(whole.rows[i].name, range.rows[i].name);
    }
    scene_end(&scene);
}

/* Wherever a sample near the origin met it, it was called by the same function. */
static void libraries_on_the_way_queue_nothing(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_thread(scene.aggregate, LANE_TEST_NS, TEST_PID, EVENT_THREAD_PRESENT, "main");
    tell_in(scene.aggregate, LANE_TEST_NS, TEST_PID);
    span_test_tell_names(scene.aggregate);
    for (uint64_t i = 0; i < 10; i++) {
        const uint64_t through[] = {(uint64_t)(uintptr_t)&gnu_get_libc_version + 4,
                                    place_in(target_tid, 1), place_in(stax_origin_capture, 1),
                                    place_in(hash_key, 1), place_in(run_worker, 2)};
        size_t n_on_the_way = i % 3 == 0 ? 0 : i % 3 == 1 ? 2 : 3;
        uint64_t at_ns = 10 * SPAN_MS * (i + 1) - 5 * SPAN_MS;
        tell_sample(scene.aggregate, LANE_TEST_NS + at_ns, TEST_PID, through + 3 - n_on_the_way,
                    (uint32_t)(2 + n_on_the_way));
        span_test_tell(scene.aggregate, (struct span_told){LANE_GPU, SPAN_KERNEL, at_ns, at_ns + 10,
                                                           TEST_PID, at_ns, 0, NULL});
    }
    span_test_end(&scene);
    struct target_origins_result result = ask(&scene, (struct query_target_origins_options){0});
    assert_int_equal(result.origins.linked, 10);
    assert_int_equal(result.origin_rows, 1);
    assert_int_equal(result.rows[0].count, 10);
    size_t n_inner = result.rows[0].n_inner;
    assert_int_equal(n_inner, result.rows[0].n_stack - 2);
    assert_string_equal(result.rows[0].stack[n_inner].name, "hash_key");

    assert_true(queueing_stack_passes("libc.so.6"));
    assert_true(queueing_stack_passes("libstax-target.so.1.0.0"));
    assert_false(queueing_stack_passes("libcuda.so.1"));
    assert_false(queueing_stack_passes("libstax-target-tool"));
    scene_end(&scene);
}

static void too_little_memory_is_told(void **state)
{
    (void)state;
    struct scene scene;
    span_test_begin(&scene);
    const struct query_target_origins_options options = {0};
    struct target_origins_result result;
    for (size_t limit = 16; limit <= 1024; limit *= 2) {
        scene_ask_anew(&scene);
        scene.arena.max_bytes = limit;
        assert_int_equal(query_target_origins(&scene.context, &options, &result, &scene.error),
                         -ENOMEM);
    }
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stacks_have_what_they_queued),
        cmocka_unit_test(waits_are_told),
        cmocka_unit_test(patterns_look_at_stacks_too),
        cmocka_unit_test(ranges_agree_with_the_whole),
        cmocka_unit_test(libraries_on_the_way_queue_nothing),
        cmocka_unit_test(too_little_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
