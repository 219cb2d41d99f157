/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "query/span_test.h"

static struct target_top_result ask(struct scene *scene, struct query_target_top_options options)
{
    struct target_top_result result;
    assert_int_equal(query_target_top(&scene->context, &options, &result, &scene->error), 0);
    return result;
}

static const struct target_top_row *row_of(const struct target_top_result *result, int64_t tid,
                                           const char *name)
{
    for (size_t i = 0; i < result->n_rows; i++) {
        if (result->rows[i].tid == tid && strcmp(result->rows[i].name, name) == 0) {
            return &result->rows[i];
        }
    }
    return NULL;
}

static void names_have_their_figures(void **state)
{
    (void)state;
    struct scene scene;
    span_test_begin(&scene);
    struct target_top_result result = ask(&scene, (struct query_target_top_options){0});
    assert_int_equal(result.names, 4);
    assert_int_equal(result.n_rows, 4);
    assert_int_equal(result.spans, 7);
    assert_int_equal(result.target_ns, 61 * SPAN_MS); /* without decode and filter */
    assert_false(result.partial);
    assert_null(result.hint);
    const struct target_top_row *row = &result.rows[0];
    assert_string_equal(row->name, "kernel");
    assert_string_equal(row->lane, "GPU 0");
    assert_int_equal(row->kind, LANE_KIND_GPU);
    assert_int_equal(row->tid, LANE_TID_FIRST + LANE_GPU);
    assert_int_equal(row->pid, TEST_PID);
    assert_int_equal(row->spans, 3);
    assert_int_equal(row->total_ns, 36 * SPAN_MS);
    assert_int_equal(row->avg_ns, 12 * SPAN_MS);
    assert_int_equal(row->min_ns, SPAN_MS);
    assert_int_equal(row->max_ns, 25 * SPAN_MS);
    assert_int_equal(row->waits, 1);
    assert_int_equal(row->waited_ns, 8 * SPAN_MS); /* the span had ended before the wait did */
    assert_int_equal(row->n_path, 0);
    assert_true(row->total_pct > 59.0 && row->total_pct < 59.1);
    row = row_of(&result, LANE_TID_FIRST + LANE_DECODER, "decode");
    assert_int_equal(row->n_path, 1);
    assert_string_equal(row->path[0], "frame");
    assert_int_equal(row->total_ns, 8 * SPAN_MS);
    scene_end(&scene);
}

static void names_are_sorted_as_asked(void **state)
{
    (void)state;
    struct scene scene;
    span_test_begin(&scene);
    static const struct {
        enum target_top_sort sort;
        const char *first, *last;
    } cases[] = {
        {TARGET_TOP_SORT_TIME, "kernel", "filter"}, {TARGET_TOP_SORT_COUNT, "kernel", "filter"},
        {TARGET_TOP_SORT_AVG, "frame", "filter"},   {TARGET_TOP_SORT_MAX, "kernel", "filter"},
        {TARGET_TOP_SORT_P95, "kernel", "filter"},  {TARGET_TOP_SORT_P99, "kernel", "filter"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct target_top_result result =
            ask(&scene, (struct query_target_top_options){.sort = cases[i].sort});
        assert_int_equal(result.sort, cases[i].sort);
        assert_string_equal(result.rows[0].name, cases[i].first);
        assert_string_equal(result.rows[3].name, cases[i].last); /* decode is as long: by name */
    }
    struct target_top_result result = ask(&scene, (struct query_target_top_options){.limit = 1});
    assert_int_equal(result.n_rows, 1);
    assert_int_equal(result.names, 4);
    assert_int_equal(result.target_ns, 61 * SPAN_MS);
    scene_end(&scene);
}

static void ranges_count_the_time_inside(void **state)
{
    (void)state;
    struct scene scene;
    span_test_begin(&scene);
    scene.view = (struct view){
        .has_from = true, .from_ns = 18 * SPAN_MS, .has_to = true, .to_ns = 25 * SPAN_MS};
    struct target_top_result result = ask(&scene, (struct query_target_top_options){0});
    const struct target_top_row *row = row_of(&result, LANE_TID_FIRST + LANE_GPU, "kernel");
    assert_int_equal(row->spans, 2);
    assert_int_equal(row->total_ns, 2 * SPAN_MS + 7 * SPAN_MS);
    assert_int_equal(row->min_ns, 10 * SPAN_MS); /* of whole spans */
    assert_int_equal(row->avg_ns, 35 * SPAN_MS / 2);
    assert_int_equal(row->p50_ns, 10 * SPAN_MS);
    assert_int_equal(row->p99_ns, 25 * SPAN_MS);
    assert_int_equal(row->waited_ns, 2 * SPAN_MS);
    assert_int_equal(result.target_ns, 9 * SPAN_MS + 7 * SPAN_MS);
    scene.view = (struct view){.has_from = true, .from_ns = 80 * SPAN_MS};
    result = ask(&scene, (struct query_target_top_options){0});
    assert_int_equal(result.n_rows, 0);
    assert_non_null(strstr(result.hint, "no span ran in this range"));
    scene_end(&scene);
}

static void tids_choose_lanes_and_who_queued(void **state)
{
    (void)state;
    struct scene scene;
    span_test_begin(&scene);
    int64_t lane[] = {LANE_TID_FIRST + LANE_DECODER};
    scene.view = (struct view){.n_tids = 1, .tids = lane};
    struct target_top_result result = ask(&scene, (struct query_target_top_options){0});
    assert_int_equal(result.names, 3);
    assert_int_equal(result.spans, 4);
    int64_t thread[] = {TEST_PID};
    scene.view = (struct view){.n_tids = 1, .tids = thread};
    result = ask(&scene, (struct query_target_top_options){0});
    assert_int_equal(result.names, 1);
    assert_int_equal(result.rows[0].spans, 2);
    assert_int_equal(result.rows[0].total_ns, 35 * SPAN_MS);
    assert_int_equal(result.rows[0].p50_ns, 10 * SPAN_MS);
    int64_t both[] = {TEST_PID, LANE_TID_FIRST + LANE_DECODER};
    scene.view = (struct view){.n_tids = 2, .tids = both};
    assert_int_equal(ask(&scene, (struct query_target_top_options){0}).spans, 6);
    int64_t idle[] = {SPAN_IDLE_TID};
    scene.view = (struct view){.n_tids = 1, .tids = idle};
    result = ask(&scene, (struct query_target_top_options){0});
    assert_int_equal(result.n_rows, 0);
    assert_non_null(strstr(result.hint, "none of these threads"));

    int64_t nobody[] = {4};
    scene.view = (struct view){.n_tids = 1, .tids = nobody};
    const struct query_target_top_options options = {0};
    assert_int_equal(query_target_top(&scene.context, &options, &result, &scene.error), -EINVAL);
    assert_string_equal(scene.error.code, "not_found");
    scene_end(&scene);
}

static void patterns_look_at_lanes_and_paths(void **state)
{
    (void)state;
    struct scene scene;
    span_test_begin(&scene);
    char frame[] = "FRAME", gpu[] = "gpu", decode[] = "decode", *patterns[1];
    scene.view = (struct view){.n_focus = 1, .focus = patterns};
    patterns[0] = frame;
    assert_int_equal(ask(&scene, (struct query_target_top_options){0}).names, 3);
    patterns[0] = gpu;
    assert_int_equal(ask(&scene, (struct query_target_top_options){0}).names, 1);
    patterns[0] = decode; /* the lane is called decoder: all on it */
    assert_int_equal(ask(&scene, (struct query_target_top_options){0}).names, 3);
    scene.view = (struct view){.n_exclude = 1, .exclude = patterns};
    patterns[0] = frame;
    assert_int_equal(ask(&scene, (struct query_target_top_options){0}).names, 1);

    scene.view = (struct view){0};
    struct target_top_result result =
        ask(&scene, (struct query_target_top_options){.choice = {.name = "decode"}});
    assert_int_equal(result.names, 1);
    assert_int_equal(result.target_ns,
                     8 * SPAN_MS); /* nothing else is there that it is inside of */
    assert_true(result.rows[0].total_pct == 100.0);
    result =
        ask(&scene, (struct query_target_top_options){.choice = {.lane = "/^dec/", .name = "fr"}});
    assert_int_equal(result.names, 1);
    assert_string_equal(result.rows[0].name, "frame");
    result = ask(&scene, (struct query_target_top_options){.choice = {.name = "nothing"}});
    assert_non_null(strstr(result.hint, "no span is like that"));
    const struct query_target_top_options bad = {.choice = {.lane = "/(/"}};
    assert_int_equal(query_target_top(&scene.context, &bad, &result, &scene.error), -EINVAL);
    scene_end(&scene);
}

/* ---- against counting by hand ---- */

enum { RANDOM_SPANS = 6000 };

static int by_length(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static bool is_near(uint64_t value, uint64_t exact)
{
    uint64_t off = value > exact ? value - exact : exact - value;
    return (double)off <= 0.01 * (double)exact + 1;
}

static void check_row(const struct target_top_row *row, const struct span_told *told,
                      const uint32_t name, bool is_exact)
{
    static uint64_t lengths[RANDOM_SPANS];
    size_t n = 0;
    uint64_t total_ns = 0;
    for (size_t i = 0; i < RANDOM_SPANS; i++) {
        if (LANE_TID_FIRST + told[i].lane == row->tid && told[i].name == name) {
            lengths[n++] = told[i].end_ns - told[i].start_ns;
            total_ns += told[i].end_ns - told[i].start_ns;
        }
    }
    qsort(lengths, n, sizeof(*lengths), by_length);
    assert_int_equal(row->spans, n);
    assert_int_equal(row->total_ns, total_ns);
    assert_int_equal(row->avg_ns, total_ns / n);
    assert_int_equal(row->min_ns, lengths[0]);
    assert_int_equal(row->max_ns, lengths[n - 1]);
    uint64_t p50_ns = lengths[(n * 50 + 99) / 100 - 1], p95_ns = lengths[(n * 95 + 99) / 100 - 1];
    uint64_t p99_ns = lengths[(n * 99 + 99) / 100 - 1];
    if (is_exact) {
        assert_int_equal(row->p50_ns, p50_ns);
        assert_int_equal(row->p95_ns, p95_ns);
        assert_int_equal(row->p99_ns, p99_ns);
    } else {
        assert_true(is_near(row->p50_ns, p50_ns));
        assert_true(is_near(row->p95_ns, p95_ns));
        assert_true(is_near(row->p99_ns, p99_ns));
    }
}

static void figures_are_those_of_the_spans(void **state)
{
    (void)state;
    static struct span_told told[RANDOM_SPANS];
    struct scene scene;
    span_test_begin_random(&scene, told, RANDOM_SPANS);
    for (int is_range = 0; is_range <= 1; is_range++) {
        uint64_t length_ns = scene.snapshot->now_ns - scene.snapshot->start_ns;
        scene.view = (struct view){.has_to = is_range, .to_ns = (int64_t)length_ns - 1};
        struct target_top_result result = ask(&scene, (struct query_target_top_options){0});
        assert_int_equal(result.n_rows, 8);
        assert_int_equal(result.spans, RANDOM_SPANS);
        for (size_t i = 0; i < result.n_rows; i++) {
            const char *name = result.rows[i].name;
            uint32_t number = name[0] == 'k'   ? SPAN_KERNEL
                              : name[1] == 'r' ? SPAN_FRAME
                              : name[0] == 'd' ? SPAN_DECODE
                                               : SPAN_FILTER;
            check_row(&result.rows[i], told, number, is_range);
        }
    }
    scene_end(&scene);
}

static void too_little_memory_is_told(void **state)
{
    (void)state;
    struct scene scene;
    span_test_begin(&scene);
    const struct query_target_top_options options = {0};
    struct target_top_result result;
    for (size_t limit = 16; limit <= 256; limit *= 2) {
        scene_ask_anew(&scene);
        scene.arena.max_bytes = limit;
        assert_int_equal(query_target_top(&scene.context, &options, &result, &scene.error),
                         -ENOMEM);
    }
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_their_figures),
        cmocka_unit_test(names_are_sorted_as_asked),
        cmocka_unit_test(ranges_count_the_time_inside),
        cmocka_unit_test(tids_choose_lanes_and_who_queued),
        cmocka_unit_test(patterns_look_at_lanes_and_paths),
        cmocka_unit_test(figures_are_those_of_the_spans),
        cmocka_unit_test(too_little_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
