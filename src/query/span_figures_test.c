/* SPDX-License-Identifier: MIT */
#include "query/span_figures.h"

#include "query/span_test.h"

enum { MANY_SPANS = 400000 };

/* What a thread queued is known of spans that are gone, too, though not how long each was. */
static void sums_outlive_spans(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    scene.aggregate = aggregate_free(scene.aggregate);
    const struct aggregate_config config = {.max_memory_bytes = UINT64_C(24) << 20};
    assert_int_equal(aggregate_new(&config, &scene.aggregate), 0);
    span_test_tell_threads(scene.aggregate);
    span_test_tell_names(scene.aggregate);
    for (uint64_t i = 0; i < MANY_SPANS; i++) {
        uint64_t start_ns = i * 200;
        span_test_tell(scene.aggregate,
                       (struct span_told){LANE_GPU, SPAN_KERNEL, start_ns, start_ns + 100,
                                          i % 2 ? TEST_PID : 0, SPAN_MS + i, 0, NULL});
    }
    span_test_end(&scene);
    assert_true(scene.snapshot->first_span > 0);
    assert_true(scene.snapshot->spans_folded_until_ns > 0);

    const struct query_target_top_options options = {0};
    struct target_top_result result;
    assert_int_equal(query_target_top(&scene.context, &options, &result, &scene.error), 0);
    assert_int_equal(result.spans, MANY_SPANS);
    assert_int_equal(result.target_ns, UINT64_C(100) * MANY_SPANS);
    assert_false(result.partial);
    assert_null(result.hint);

    int64_t tids[] = {TEST_PID};
    scene.view = (struct view){.n_tids = 1, .tids = tids};
    assert_int_equal(query_target_top(&scene.context, &options, &result, &scene.error), 0);
    assert_int_equal(result.spans, MANY_SPANS / 2);
    assert_int_equal(result.rows[0].total_ns, UINT64_C(50) * MANY_SPANS);
    assert_int_equal(result.rows[0].avg_ns, 100);
    assert_true(result.partial);
    assert_non_null(strstr(result.hint, "are gone"));

    scene.view = (struct view){.has_from = true, .from_ns = 1};
    assert_int_equal(query_target_top(&scene.context, &options, &result, &scene.error), 0);
    assert_true(result.partial);
    assert_true(result.spans < MANY_SPANS);

    scene.view = (struct view){0}; /* the longest of each name are kept */
    const struct query_target_spans_options longest = {.limit = 10};
    struct target_spans_result spans;
    assert_int_equal(query_target_spans(&scene.context, &longest, &spans, &scene.error), 0);
    assert_int_equal(spans.n_rows, 10);
    assert_int_equal(spans.spans, MANY_SPANS);
    scene_end(&scene);
}

/* Names that were told twice on one lane are one row, and rows come by lane and name. */
static void rows_are_in_order(void **state)
{
    (void)state;
    struct scene scene;
    span_test_begin(&scene);
    for (int is_range = 0; is_range <= 1; is_range++) {
        const struct query_span_choice all = {0};
        const struct span_figures_wishes wishes = {.quantiles = true, .times = true};
        struct span_view view;
        struct span_figures figures;
        scene.view = (struct view){.has_from = is_range, .from_ns = 1};
        assert_int_equal(span_view_make(&scene.context, &all, &view, &scene.error), 0);
        assert_int_equal(span_figures_compute(&view, &wishes, &figures), 0);
        assert_int_equal(figures.n_rows, 4);
        static const uint32_t names[] = {SPAN_KERNEL, SPAN_FRAME, SPAN_DECODE, SPAN_FILTER};
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(figures.rows[i].name, names[i]);
            assert_int_equal(figures.rows[i].lane, i == 0 ? LANE_GPU : LANE_DECODER);
            assert_int_equal(figures.rows[i].is_outermost, i < 2);
        }
        assert_int_equal(figures.rows[0].first_ns, LANE_TEST_NS + 10 * SPAN_MS);
        assert_int_equal(figures.rows[0].last_ns, LANE_TEST_NS + 51 * SPAN_MS);
        assert_int_equal(figures.rows[0].states[ORIGIN_LINKED], 2);
        assert_int_equal(figures.rows[0].states[ORIGIN_MISSING], 1);
    }
    scene_end(&scene);
}

static struct target_top_result ask(struct scene *scene, struct view view)
{
    const struct query_target_top_options options = {0};
    struct target_top_result result;
    scene->view = view;
    assert_int_equal(query_target_top(&scene->context, &options, &result, &scene->error), 0);
    return result;
}

static struct span_told told_at(uint32_t name, uint64_t start_ns, uint64_t end_ns)
{
    return (struct span_told){LANE_DECODER, name, start_ns, end_ns, 0, 0, 0, NULL};
}

/* A span that began before the run, and one inside of it; ranges that have all of the run have the
 * figures that it has without one. */
static void a_range_of_all_is_no_range(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_in(scene.aggregate, LANE_TEST_NS + 5 * SPAN_MS, TEST_PID); /* the first event of all */
    span_test_tell_names(scene.aggregate);
    span_test_tell(scene.aggregate, told_at(SPAN_FRAME, 0, 20 * SPAN_MS));
    span_test_tell(scene.aggregate, told_at(SPAN_DECODE, 0, 10 * SPAN_MS));
    span_test_tell(scene.aggregate, told_at(SPAN_FRAME, 30 * SPAN_MS, 37 * SPAN_MS));
    span_test_end(&scene);
    assert_int_equal(scene.snapshot->start_ns, LANE_TEST_NS + 5 * SPAN_MS);
    const struct view views[] = {
        {0},
        {.has_from = true},
        {.has_to = true, .to_ns = INT64_MAX},
        {.has_from = true, .has_to = true, .to_ns = INT64_MAX},
    };
    for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
        struct target_top_result result = ask(&scene, views[i]);
        assert_int_equal(result.n_rows, 2);
        assert_int_equal(result.target_ns, (15 + 7) * SPAN_MS);
        assert_int_equal(result.rows[0].total_ns, (15 + 7) * SPAN_MS);
        assert_int_equal(result.rows[0].avg_ns, (20 + 7) * SPAN_MS / 2);
        assert_int_equal(result.rows[0].max_ns, 20 * SPAN_MS);
        assert_int_equal(result.rows[1].total_ns, 5 * SPAN_MS);
        assert_int_equal(result.rows[1].avg_ns, 10 * SPAN_MS);
        assert_false(result.partial);
        const struct query_threads_options threads = {0};
        struct threads_result rows;
        assert_int_equal(query_threads(&scene.context, &threads, &rows, &scene.error), 0);
        assert_int_equal(rows.totals.target_ns, result.target_ns);
        const struct query_target_lanes_options lanes = {0};
        struct target_lanes_result lane_rows;
        assert_int_equal(query_target_lanes(&scene.context, &lanes, &lane_rows, &scene.error), 0);
        assert_int_equal(lane_rows.target_ns, result.target_ns);
        assert_int_equal(lane_rows.rows[0].total_ns, result.target_ns);
        assert_int_equal(lane_rows.rows[0].first_ns, -5 * (int64_t)SPAN_MS);
        assert_int_equal(lane_rows.rows[0].last_ns, 32 * SPAN_MS);
        const struct query_target_origins_options origins = {0};
        struct target_origins_result queued;
        assert_int_equal(query_target_origins(&scene.context, &origins, &queued, &scene.error), 0);
        assert_int_equal(queued.target_ns, result.target_ns);
        const struct query_timeline_options timeline = {.buckets = 10};
        struct timeline_result bars;
        assert_int_equal(query_timeline(&scene.context, &timeline, &bars, &scene.error), 0);
        assert_int_equal(bars.totals.target_ns, result.target_ns);
    }
    struct target_top_result result =
        ask(&scene, (struct view){.has_from = true, .from_ns = SPAN_MS});
    assert_int_equal(result.target_ns, (14 + 7) * SPAN_MS);
    assert_int_equal(result.rows[0].avg_ns, (20 + 7) * SPAN_MS / 2);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_outlive_spans),
        cmocka_unit_test(rows_are_in_order),
        cmocka_unit_test(a_range_of_all_is_no_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
