/* SPDX-License-Identifier: MIT */
#include "query/lane_test.h"
#include "query/wait_test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct top_result ask(struct scene *scene, enum top_sort sort, uint32_t limit)
{
    const struct query_top_options options = {.sort = sort, .limit = limit};
    struct top_result result;
    assert_int_equal(query_top(&scene->context, &options, &result, &scene->error), 0);
    return result;
}

static const struct top_row *find(const struct top_result *result, const char *name)
{
    for (size_t i = 0; i < result->n_rows; i++) {
        if (strcmp(result->rows[i].name, name) == 0) {
            return &result->rows[i];
        }
    }
    fail_msg("there is no row %s", name);
    return NULL;
}

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof(*(array))))

/* 100 samples of one thread that ran for 1000. */
static void tell_hundred(struct scene *scene)
{
    const uint64_t recursive[] = {place_in(hash_key, 1),   place_in(walk_tree, 2),
                                  place_in(visit_node, 3), place_in(walk_tree, 4),
                                  place_in(walk_tree, 5),  place_in(run_worker, 6)};
    const uint64_t other_place[] = {place_in(hash_key, 9), place_in(run_worker, 1)};
    const uint64_t in_caller[] = {place_in(walk_tree, 0), place_in(run_worker, 6)};
    tell_in(scene->aggregate, 1000, TEST_PID);
    for (uint64_t i = 0; i < 100; i++) {
        uint64_t time_ns = 1001 + i;
        if (i < 50) {
            tell_sample(scene->aggregate, time_ns, TEST_PID, recursive, COUNT(recursive));
        } else if (i < 80) {
            tell_sample(scene->aggregate, time_ns, TEST_PID, other_place, COUNT(other_place));
        } else {
            tell_sample(scene->aggregate, time_ns, TEST_PID, in_caller, COUNT(in_caller));
        }
    }
    tell_out(scene->aggregate, 2000, TEST_PID, false);
    scene_freeze(scene, 2000);
}

static void recursion_counts_once(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_hundred(&scene);
    struct top_result result = ask(&scene, TOP_SORT_SELF, 0);
    assert_int_equal(result.functions, 4);
    assert_int_equal(result.n_rows, 4);
    assert_int_equal(result.totals.active_ns, 1000);
    assert_null(result.hint);
    const struct {
        const char *name;
        uint64_t self_samples, total_samples;
    } wanted[] = {
        {"hash_key", 80, 80}, /* two places of one function are one row */
        {"walk_tree", 20, 70},
        {"run_worker", 0, 100},
        {"visit_node", 0, 50},
    };
    for (size_t i = 0; i < 4; i++) {
        const struct top_row *row = &result.rows[i];
        assert_string_equal(row->name, wanted[i].name);
        assert_int_equal(row->self_samples, wanted[i].self_samples);
        assert_int_equal(row->total_samples, wanted[i].total_samples);
        assert_int_equal(row->self_active_ns, 10 * wanted[i].self_samples);
        assert_int_equal(row->total_active_ns, 10 * wanted[i].total_samples);
        assert_float_equal(row->self_pct, (double)wanted[i].self_samples, 0.0001);
        assert_float_equal(row->total_pct, (double)wanted[i].total_samples, 0.0001);
        assert_int_equal(row->kind, FRAME_KIND_USER);
        assert_non_null(strstr(row->image, "query_top"));
        assert_memory_equal(row->address, "0x", 2);
    }
    scene_end(&scene);
}

static void rows_are_sorted_as_asked(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_hundred(&scene);
    struct top_result result = ask(&scene, TOP_SORT_TOTAL, 0);
    static const char *const by_total[] = {"run_worker", "hash_key", "walk_tree", "visit_node"};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(result.rows[i].name, by_total[i]);
    }
    assert_int_equal(result.sort, TOP_SORT_TOTAL);
    result = ask(&scene, TOP_SORT_TOTAL, 2);
    assert_int_equal(result.n_rows, 2);
    assert_int_equal(result.functions, 4);
    assert_string_equal(result.rows[0].name, "run_worker");
    assert_string_equal(result.rows[1].name, "hash_key");
    assert_int_equal(result.totals.samples, 100);
    assert_int_equal(ask(&scene, TOP_SORT_SELF, 1).n_rows, 1);
    scene_end(&scene);
}

static void functions_can_be_sorted_by_waits(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_waits(&scene);
    struct top_result result = ask(&scene, TOP_SORT_OFF_CPU, 0);
    static const struct {
        const char *name;
        uint64_t self_ns, total_ns, waits;
    } expected[] = {
        {"epoll_wait", 5000, 5000, 3},    {"__GI___clock_nanosleep", 4000, 4000, 1},
        {"__lll_lock_wait", 800, 800, 2}, {"run_worker", 0, 9800, 6},
        {"walk_tree", 0, 5000, 3},
    };
    assert_int_equal(result.n_rows, 5);
    assert_int_equal(result.functions, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(result.rows[i].name, expected[i].name);
        assert_int_equal(result.rows[i].self_off_cpu_ns, expected[i].self_ns);
        assert_int_equal(result.rows[i].total_off_cpu_ns, expected[i].total_ns);
        assert_int_equal(result.rows[i].waits, expected[i].waits);
    }
    assert_null(result.hint);
    assert_int_equal(ask(&scene, TOP_SORT_OFF_CPU, 2).n_rows, 2);

    scene.view = (struct view){.has_to = true, .to_ns = 900};
    result = ask(&scene, TOP_SORT_OFF_CPU, 0);
    assert_int_equal(result.n_rows, 0);
    assert_non_null(strstr(result.hint, "no waits in this range"));
    scene_end(&scene);
}

static void views_choose_stacks(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_hundred(&scene);
    char visit[] = "VISIT_node", *patterns[] = {visit};
    scene.view = (struct view){.n_focus = 1, .focus = patterns};
    struct top_result result = ask(&scene, TOP_SORT_SELF, 0);
    assert_int_equal(result.totals.samples, 50);
    assert_int_equal(find(&result, "hash_key")->self_samples, 50);
    assert_int_equal(find(&result, "walk_tree")->total_samples, 50);
    assert_float_equal(find(&result, "run_worker")->total_pct, 100.0, 0.0001);

    scene.view = (struct view){.n_exclude = 1, .exclude = patterns};
    result = ask(&scene, TOP_SORT_SELF, 0);
    assert_int_equal(result.functions, 3);
    assert_int_equal(result.totals.samples, 50);
    assert_int_equal(find(&result, "walk_tree")->total_samples, 20);

    scene.view = (struct view){.has_from = true, .has_to = true, .from_ns = 1050, .to_ns = 1080};
    result = ask(&scene, TOP_SORT_SELF, 0);
    assert_int_equal(result.totals.samples, 30);
    assert_int_equal(result.totals.active_ns, 30);
    assert_int_equal(find(&result, "hash_key")->self_active_ns, 30);

    char nothing[] = "no such function", *none[] = {nothing};
    scene.view = (struct view){.n_focus = 1, .focus = none};
    result = ask(&scene, TOP_SORT_SELF, 0);
    assert_int_equal(result.n_rows, 0);
    assert_non_null(result.hint);
    scene_end(&scene);
}

static void time_without_a_place_has_a_row(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_in(scene.aggregate, 1000, 2); /* a thread that no sample met */
    tell_out(scene.aggregate, 1500, 2, false);
    const uint64_t ip = place_in(hash_key, 0);
    tell_in(scene.aggregate, 1500, 1);
    for (uint64_t i = 0; i < 100; i++) {
        tell_sample(scene.aggregate, 1501, 1, i < 60 ? &ip : NULL, i < 60);
    }
    tell_out(scene.aggregate, 2500, 1, false);
    scene_freeze(&scene, 2500);
    struct top_result result = ask(&scene, TOP_SORT_SELF, 0);
    static const char *const names[] = {"hash_key", "(not sampled)", "(no stack)"};
    const uint64_t self_ns[] = {600, 500, 400}, samples[] = {60, 0, 40};
    assert_int_equal(result.n_rows, 3);
    assert_int_equal(result.functions, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(result.rows[i].name, names[i]);
        assert_int_equal(result.rows[i].self_active_ns, self_ns[i]);
        assert_int_equal(result.rows[i].total_active_ns, self_ns[i]);
        assert_int_equal(result.rows[i].self_samples, samples[i]);
    }
    result = ask(&scene, TOP_SORT_SELF, 2);
    assert_int_equal(result.n_rows, 2);
    assert_string_equal(result.rows[1].name, "(not sampled)");
    scene_end(&scene);
}

/* ---- against counting each sample by hand ---- */

typedef void (*function_cb)(void);
static const function_cb functions[] = {walk_tree, visit_node, hash_key, copy_bytes, run_worker};

static void tell_random_stacks(struct scene *scene, struct random_life *life)
{
    uint64_t now_ns = 1000;
    for (int64_t tid = 1; tid <= 8; tid++) {
        tell_in(scene->aggregate, now_ns, tid);
        uint64_t n_samples = random_life_below(life, 300);
        for (uint64_t i = 0; i < n_samples; i++) {
            uint64_t ips[20];
            uint32_t n_ips = (uint32_t)random_life_below(life, 20);
            for (uint32_t k = 0; k < n_ips; k++) {
                ips[k] = place_in(functions[random_life_below(life, 5)],
                                  1 + (unsigned int)random_life_below(life, 3));
            }
            now_ns += random_life_below(life, 1000);
            tell_sample(scene->aggregate, now_ns, tid, ips, n_ips);
        }
        now_ns += 1 + random_life_below(life, 100000);
        tell_out(scene->aggregate, now_ns, tid, false);
    }
    scene_freeze(scene, now_ns);
}

static const struct symbol *symbol_of(const struct scene *scene, const char *name)
{
    for (frame_id id = 0; id < scene->snapshot->n_frames; id++) {
        const struct symbol *symbol = query_names_find(scene->names, scene->snapshot, id);
        if (strcmp(symbol->name, name) == 0) {
            return symbol;
        }
    }
    return NULL;
}

static void check_row(struct scene *scene, const struct top_row *row)
{
    const struct symbol *symbol = symbol_of(scene, row->name);
    assert_non_null(symbol);
    uint64_t n_self = 0, n_total = 0;
    for (uint64_t i = 0; i < scene->snapshot->n_samples; i++) {
        stack_id stack = snapshot_sample(scene->snapshot, i)->stack;
        if (stack == STACK_ID_EMPTY) {
            continue;
        }
        frame_id innermost = snapshot_stack(scene->snapshot, stack).frame;
        n_self += query_names_find(scene->names, scene->snapshot, innermost) == symbol;
        n_total += scene_stack_has(scene, stack, symbol);
    }
    assert_int_equal(row->self_samples, n_self);
    assert_int_equal(row->total_samples, n_total);
    assert_true(row->self_active_ns <= row->total_active_ns);
}

static void rows_are_what_the_samples_say(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    struct random_life life = {.state = 77};
    tell_random_stacks(&scene, &life);
    struct top_result result = ask(&scene, TOP_SORT_SELF, 0);
    uint64_t self_ns = 0, self_samples = 0;
    unsigned int n_functions = 0;
    for (size_t i = 0; i < result.n_rows; i++) {
        const struct top_row *row = &result.rows[i];
        self_ns += row->self_active_ns;
        self_samples += row->self_samples;
        assert_true(i == 0 || row[-1].self_active_ns >= row->self_active_ns);
        assert_true(row->total_active_ns <= result.totals.active_ns);
        if (row->name[0] != '(') {
            check_row(&scene, row);
            n_functions++;
        }
    }
    assert_int_equal(n_functions, 5);
    assert_int_equal(self_ns, result.totals.active_ns);
    assert_int_equal(self_samples, result.totals.samples);
    scene_end(&scene);
}

static void too_little_memory_is_told(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_hundred(&scene);
    unsigned int n_refused = 0;
    for (size_t max_bytes = 1; max_bytes < 32768; max_bytes += 531) {
        arena_release(&scene.arena);
        arena_init(&scene.arena, max_bytes);
        const struct query_top_options options = {0};
        struct top_result result;
        int r = query_top(&scene.context, &options, &result, &scene.error);
        assert_true(r == 0 || r == -ENOMEM);
        n_refused += r != 0;
    }
    assert_true(n_refused > 0);
    scene_end(&scene);
}

static void assert_span(const struct top_row *row, const char *image, uint64_t self_ns,
                        uint64_t total_ns, uint64_t n_spans)
{
    assert_int_equal(row->kind, FRAME_KIND_TARGET);
    assert_string_equal(row->image, image);
    assert_int_equal(row->self_active_ns, self_ns);
    assert_int_equal(row->total_active_ns, total_ns);
    assert_int_equal(row->target_ns, total_ns);
    assert_int_equal(row->spans, n_spans);
    assert_int_equal(row->self_samples, 0);
    assert_null(row->address);
}

static void spans_stand_beside_functions(void **state)
{
    (void)state;
    struct scene scene;
    lane_test_begin(&scene);
    struct top_result result = ask(&scene, TOP_SORT_SELF, 0);
    assert_int_equal(result.totals.active_ns, 2250);
    assert_int_equal(result.totals.cpu_ns, 1000);
    assert_int_equal(result.totals.target_ns, 1250);
    assert_int_equal(result.totals.spans, 6);
    assert_int_equal(result.functions, 3 + 4);
    assert_int_equal(result.n_rows, 7);
    assert_span(find(&result, "kernel"), "[GPU 0]", 350, 350, 2);
    assert_span(find(&result, "frame"), "[decoder]", 500, 900, 2);
    assert_span(find(&result, "decode"), "[decoder]", 300, 300, 1);
    assert_span(find(&result, "filter"), "[decoder]", 100, 100, 1);
    assert_int_equal(find(&result, "hash_key")->self_active_ns, 500);
    assert_int_equal(find(&result, "hash_key")->target_ns, 0);
    uint64_t sum_ns = 0;
    double sum_pct = 0;
    for (size_t i = 0; i < result.n_rows; i++) {
        sum_ns += result.rows[i].self_active_ns;
        sum_pct += result.rows[i].self_pct;
        assert_true(i == 0 || result.rows[i - 1].self_active_ns >= result.rows[i].self_active_ns);
    }
    assert_int_equal(sum_ns, 2250);
    assert_float_equal(sum_pct, 100.0, 0.0001);

    result = ask(&scene, TOP_SORT_TOTAL, 2);
    assert_int_equal(result.n_rows, 2);
    assert_int_equal(result.functions, 7);
    assert_string_equal(result.rows[0].name, "run_worker");
    assert_string_equal(result.rows[1].name, "frame");
    assert_float_equal(result.rows[1].total_pct, 40.0, 0.0001);

    result = ask(&scene, TOP_SORT_OFF_CPU, 0);
    for (size_t i = 0; i < result.n_rows; i++) {
        assert_int_not_equal(result.rows[i].kind, FRAME_KIND_TARGET);
    }
    scene_end(&scene);
}

static void lanes_stand_beside_files(void **state)
{
    (void)state;
    struct scene scene;
    lane_test_begin(&scene);
    const struct query_top_options options = {.sort = TOP_SORT_SELF, .group = TOP_GROUP_IMAGE};
    struct top_result result;
    assert_int_equal(query_top(&scene.context, &options, &result, &scene.error), 0);
    assert_int_equal(result.n_rows, 3);
    assert_int_equal(result.rows[0].self_active_ns, 1000);
    assert_string_equal(result.rows[1].name, "[decoder]");
    assert_span(&result.rows[1], "[generic lane]", 900, 900, 4);
    assert_string_equal(result.rows[2].name, "[GPU 0]");
    assert_null(result.rows[2].file);
    scene_end(&scene);
}

static void spans_alone_are_an_answer(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    lane_test_tell(scene.aggregate);
    scene_freeze(&scene, LANE_TEST_NS + 1000);
    struct top_result result = ask(&scene, TOP_SORT_SELF, 0);
    assert_int_equal(result.n_rows, 4);
    assert_non_null(strstr(result.hint, "stax target top"));
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recursion_counts_once),
        cmocka_unit_test(rows_are_sorted_as_asked),
        cmocka_unit_test(functions_can_be_sorted_by_waits),
        cmocka_unit_test(views_choose_stacks),
        cmocka_unit_test(time_without_a_place_has_a_row),
        cmocka_unit_test(rows_are_what_the_samples_say),
        cmocka_unit_test(too_little_memory_is_told),
        cmocka_unit_test(spans_stand_beside_functions),
        cmocka_unit_test(lanes_stand_beside_files),
        cmocka_unit_test(spans_alone_are_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
