/* SPDX-License-Identifier: MIT */
#include "query/query_test.h"

#define MS UINT64_C(1000000)
#define SECOND (TEST_PID + 1)

/* As on a host with a PMU that lacks the third counter. */
static const struct counter_set hardware = {
    .is_wanted = true,
    .is_available = true,
    .counters = {{.name = "cycles", .is_available = true},
                 {.name = "instructions", .is_available = true},
                 {.name = "L1d-misses", .reason = "No such file or directory"},
                 {.name = "branch-misses", .is_available = true}},
};

/* A thread's totals at a time. It ran all the time, and all of it was counted unless running_ns
 * says less. */
struct total {
    uint64_t time_ns;
    int64_t tid;
    uint64_t cycles, instructions, branch_misses;
    uint64_t running_ns;
};

static void tell_total(struct scene *scene, struct total total, void (*leaf)(void))
{
    const uint64_t ips[] = {place_in(leaf, 3), place_in(run_worker, 1)};
    const struct event_counters counters = {
        .group = 5,
        .enabled_ns = total.time_ns,
        .running_ns = total.running_ns ? total.running_ns : total.time_ns,
        .slots = 0xb,
        .values = {total.cycles, total.instructions, 0, total.branch_misses},
    };
    tell(scene->aggregate, (struct event){.kind = EVENT_COUNTERS,
                                          .time_ns = total.time_ns,
                                          .pid = TEST_PID,
                                          .tid = total.tid,
                                          .stack = {.ips = ips, .n_ips = leaf ? 2 : 0},
                                          .counters = &counters});
}

/* hash_key: 3000 cycles, 6000 instructions; copy_bytes: 1000 and 500, and 40 misses. */
static void tell_two_threads(struct scene *scene)
{
    tell_in(scene->aggregate, 2, TEST_PID);
    tell_thread(scene->aggregate, 3, TEST_PID, EVENT_THREAD_NAMED, "main");
    tell_in(scene->aggregate, 4, SECOND);
    tell_thread(scene->aggregate, 5, SECOND, EVENT_THREAD_NAMED, "second");
    tell_total(scene, (struct total){1 * MS, TEST_PID, 1000, 2000, 0, 0}, hash_key);
    tell_total(scene, (struct total){1 * MS + 1, SECOND, 600, 1200, 0, 0}, hash_key);
    tell_total(scene, (struct total){2 * MS, TEST_PID, 2000, 2500, 40, 0}, copy_bytes);
    tell_total(scene, (struct total){3 * MS, TEST_PID, 3400, 5300, 40, 0}, hash_key);
}

static struct counters_result ask(struct scene *scene, struct query_counters_options options)
{
    struct counters_result result;
    options.set = options.set ? options.set : &hardware;
    assert_int_equal(query_counters(&scene->context, &options, &result, &scene->error), 0);
    return result;
}

static void functions_have_what_was_counted_in_them(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_two_threads(&scene);
    scene_freeze(&scene, 4 * MS);
    struct counters_result result = ask(&scene, (struct query_counters_options){0});
    assert_true(result.available && result.host_has);
    assert_null(result.reason);
    assert_int_equal(result.n_counters, 4);
    assert_string_equal(result.counters[0].name, "cycles");
    assert_false(result.counters[2].available);
    assert_string_equal(result.counters[2].reason, "No such file or directory");
    assert_int_equal(result.all_rows, 2);
    assert_int_equal(result.n_rows, 2);
    const struct counters_row *hash = &result.rows[0], *copy = &result.rows[1];
    assert_string_equal(hash->name, "hash_key");
    assert_true(hash->has_cycles && hash->has_instructions && hash->has_ipc);
    assert_int_equal(hash->cycles, 1000 + 600 + 1400);
    assert_int_equal(hash->instructions, 2000 + 1200 + 2800);
    assert_true(hash->ipc == 2.0);
    assert_false(hash->has_l1d_misses); /* absent, not zero */
    assert_true(hash->has_branch_misses);
    assert_int_equal(hash->branch_misses, 0);
    assert_int_equal(hash->samples, 3);
    assert_false(hash->scaled);
    assert_true(hash->counted_pct == 100.0);
    assert_string_equal(copy->name, "copy_bytes");
    assert_int_equal(copy->cycles, 1000);
    assert_int_equal(copy->branch_misses, 40);
    assert_true(copy->ipc == 0.5);
    assert_int_equal(result.total.cycles, 4000);
    assert_int_equal(result.total.instructions, 6500);
    assert_int_equal(result.total.samples, 4);
    result = ask(&scene, (struct query_counters_options){.limit = 1});
    assert_int_equal(result.n_rows, 1);
    assert_int_equal(result.all_rows, 2);
    assert_int_equal(result.total.cycles, 4000);
    scene_end(&scene);
}

static void threads_have_what_was_counted_for_them(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_two_threads(&scene);
    scene_freeze(&scene, 4 * MS);
    struct counters_result result =
        ask(&scene, (struct query_counters_options){.by = COUNTERS_BY_THREAD});
    assert_int_equal(result.n_rows, 2);
    assert_int_equal(result.rows[0].tid, TEST_PID);
    assert_string_equal(result.rows[0].name, "main");
    assert_null(result.rows[0].image);
    assert_int_equal(result.rows[0].cycles, 3400);
    assert_int_equal(result.rows[1].tid, SECOND);
    assert_int_equal(result.rows[1].cycles, 600);
    assert_int_equal(result.total.cycles, 4000);
    scene_end(&scene);
}

static void a_view_leaves_its_part(void **state)
{
    (void)state;
    struct scene scene;
    char *focus[] = {"copy_bytes"};
    int64_t tids[] = {SECOND};
    scene_begin(&scene, true, false);
    tell_two_threads(&scene);
    scene_freeze(&scene, 4 * MS);
    scene.view = (struct view){.n_tids = 1, .tids = tids};
    struct counters_result result = ask(&scene, (struct query_counters_options){0});
    assert_int_equal(result.n_rows, 1);
    assert_int_equal(result.total.cycles, 600);
    scene.view = (struct view){.n_focus = 1, .focus = focus};
    result = ask(&scene, (struct query_counters_options){0});
    assert_int_equal(result.n_rows, 1);
    assert_int_equal(result.rows[0].cycles, 1000);
    scene.view = (struct view){.n_exclude = 1, .exclude = focus};
    result = ask(&scene, (struct query_counters_options){0});
    assert_int_equal(result.n_rows, 1);
    assert_int_equal(result.rows[0].cycles, 3000);
    /* From behind the first two readings on; the run begins with its first event. */
    int64_t from_ns = (int64_t)(3 * MS / 2);
    scene.view = (struct view){.has_from = true, .from_ns = from_ns};
    result = ask(&scene, (struct query_counters_options){0});
    assert_int_equal(result.total.cycles, 1000 + 1400);
    assert_int_equal(result.total.samples, 2);
    scene.view = (struct view){.has_to = true, .to_ns = from_ns};
    result = ask(&scene, (struct query_counters_options){0});
    assert_int_equal(result.total.cycles, 1600);
    scene.view = (struct view){.has_from = true, .from_ns = 0};
    result = ask(&scene, (struct query_counters_options){0});
    assert_int_equal(result.total.cycles, 4000);
    scene_end(&scene);
}

static void what_was_missed_is_estimated(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_in(scene.aggregate, 2, TEST_PID);
    /* 100 of 200 ms were counted, in steps of 1 ms. */
    for (uint64_t i = 1; i <= 100; i++) {
        tell_total(&scene, (struct total){2 * i * MS, TEST_PID, 100 * i, 200 * i, i, i * MS},
                   hash_key);
    }
    scene_freeze(&scene, 201 * MS);
    struct counters_result result = ask(&scene, (struct query_counters_options){0});
    assert_true(result.rows[0].scaled && result.total.scaled);
    assert_int_equal(result.rows[0].cycles, 20000);
    assert_int_equal(result.rows[0].instructions, 40000);
    assert_int_equal(result.rows[0].branch_misses, 200);
    assert_true(result.rows[0].ipc == 2.0);
    assert_true(result.rows[0].counted_pct == 50.0);
    assert_int_equal(result.rows[0].samples, 100);
    /* The last quarter alone. */
    scene.view = (struct view){.has_from = true, .from_ns = (int64_t)(151 * MS)};
    result = ask(&scene, (struct query_counters_options){0});
    assert_int_equal(result.rows[0].samples, 25);
    assert_int_equal(result.rows[0].cycles, 5000);
    scene_end(&scene);
}

static void counters_that_never_counted_are_absent(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_in(scene.aggregate, 2, TEST_PID);
    const struct event_counters nothing = {.group = 5, .enabled_ns = 9 * MS, .slots = 0xb};
    tell(scene.aggregate, (struct event){.kind = EVENT_COUNTERS,
                                         .time_ns = 9 * MS,
                                         .pid = TEST_PID,
                                         .tid = TEST_PID,
                                         .counters = &nothing});
    scene_freeze(&scene, 10 * MS);
    struct counters_result result =
        ask(&scene, (struct query_counters_options){.by = COUNTERS_BY_THREAD});
    assert_int_equal(result.n_rows, 1);
    assert_false(result.rows[0].has_cycles || result.rows[0].has_instructions ||
                 result.rows[0].has_ipc || result.rows[0].has_branch_misses);
    assert_int_equal(result.rows[0].samples, 1);
    assert_false(result.total.has_cycles);
    scene_end(&scene);
}

static void why_there_is_nothing_is_said(void **state)
{
    (void)state;
    struct scene scene;
    const struct counter_set absent = {
        .is_wanted = true,
        .counters = {{.name = "cycles", .reason = "No such file or directory"}},
        .reason = "no hardware PMU: cycles: No such file or directory",
    };
    const struct counter_set unwanted = {.is_wanted = false};
    scene_begin(&scene, false, false);
    tell_in(scene.aggregate, 2, TEST_PID);
    scene_freeze(&scene, 10 * MS);
    struct counters_result result = ask(&scene, (struct query_counters_options){.set = &absent});
    assert_false(result.available || result.host_has);
    assert_string_equal(result.reason, absent.reason);
    assert_null(result.fix);
    assert_int_equal(result.n_rows, 0);
    assert_null(result.hint);
    result = ask(&scene, (struct query_counters_options){.set = &unwanted});
    assert_true(!result.available && result.host_has);
    assert_string_equal(result.reason, "this run was recorded without them");
    assert_non_null(strstr(result.fix, "--counters"));
    result = ask(&scene, (struct query_counters_options){.set = &unwanted, .unrecorded = "no PMU"});
    assert_false(result.available || result.host_has);
    assert_string_equal(result.reason, "no PMU");
    /* There are some, and nothing has been counted yet. */
    result = ask(&scene, (struct query_counters_options){0});
    assert_true(result.available);
    assert_int_equal(result.n_rows, 0);
    assert_non_null(result.hint);
    scene_end(&scene);
}

static void what_a_test_counts_in_their_place_has_no_ipc(void **state)
{
    (void)state;
    struct scene scene;
    struct counter_set set = hardware;
    (void)snprintf(set.counters[0].name, sizeof(set.counters[0].name), "page-faults");
    scene_begin(&scene, true, false);
    tell_two_threads(&scene);
    scene_freeze(&scene, 4 * MS);
    struct counters_result result = ask(&scene, (struct query_counters_options){.set = &set});
    assert_true(result.rows[0].has_cycles);
    assert_false(result.rows[0].has_ipc);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_have_what_was_counted_in_them),
        cmocka_unit_test(threads_have_what_was_counted_for_them),
        cmocka_unit_test(a_view_leaves_its_part),
        cmocka_unit_test(what_was_missed_is_estimated),
        cmocka_unit_test(counters_that_never_counted_are_absent),
        cmocka_unit_test(why_there_is_nothing_is_said),
        cmocka_unit_test(what_a_test_counts_in_their_place_has_no_ipc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
