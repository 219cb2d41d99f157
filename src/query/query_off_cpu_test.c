/* SPDX-License-Identifier: MIT */
#include "query/object_text.h"
#include "query/wait_test.h"

static struct off_cpu_result ask(struct scene *scene, struct query_off_cpu_options options)
{
    struct off_cpu_result result;
    assert_int_equal(query_off_cpu(&scene->context, &options, &result, &scene->error), 0);
    uint64_t total_ns = 0;
    for (size_t i = 0; i < result.n_rows; i++) {
        total_ns += result.rows[i].total_ns;
        assert_true(i == 0 || result.rows[i].total_ns <= result.rows[i - 1].total_ns);
        assert_true(result.rows[i].max_ns <= result.rows[i].total_ns);
        assert_true(result.rows[i].p50_ns <= result.rows[i].max_ns);
    }
    if (result.n_rows == result.all_rows) {
        assert_int_equal(total_ns, result.selected_ns);
    }
    if (!options.has_reason) {
        assert_int_equal(result.selected_ns, result.totals.off_cpu_ns);
    }
    return result;
}

static void stacks_of_the_same_functions_are_one_row(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_waits(&scene);
    struct off_cpu_result result = ask(&scene, (struct query_off_cpu_options){0});
    assert_int_equal(result.totals.off_cpu_ns, 5500 + 4300);
    assert_int_equal(result.n_rows, 3);
    assert_int_equal(result.waits, 6);
    assert_int_equal(result.open, 1);
    assert_null(result.hint);

    const struct off_cpu_row *ready = &result.rows[0], *sleep = &result.rows[1],
                             *lock = &result.rows[2];
    assert_int_equal(ready->reason, WAIT_REASON_READY);
    assert_int_equal(ready->total_ns, 5000);
    assert_int_equal(ready->count, 3);
    assert_int_equal(ready->open, 1);
    assert_int_equal(ready->max_ns, 2000);
    assert_int_equal(ready->p50_ns, 2000);
    assert_string_equal(ready->wait_site, "epoll_wait");
    assert_int_equal(ready->n_stack, 3);
    assert_int_equal(ready->frames, 3);
    assert_string_equal(ready->stack[1].name, "walk_tree");
    assert_int_equal(ready->tid, TEST_PID);
    assert_string_equal(ready->thread, "main");
    assert_false(ready->approximate);
    assert_true(ready->complete);
    assert_null(ready->object);

    assert_int_equal(sleep->reason, WAIT_REASON_SLEEP);
    assert_int_equal(sleep->total_ns, 4000);
    assert_string_equal(sleep->thread, "second");

    /* Of two threads, from two places of run_worker. */
    assert_int_equal(lock->reason, WAIT_REASON_LOCK);
    assert_int_equal(lock->total_ns, 800);
    assert_int_equal(lock->count, 2);
    assert_int_equal(lock->p50_ns, 300);
    assert_int_equal(lock->tid, 0);
    assert_null(lock->thread);
    assert_int_equal(lock->n_stack, 2);
    scene_end(&scene);
}

static void rows_can_be_limited_and_chosen(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_waits(&scene);
    struct off_cpu_result result =
        ask(&scene, (struct query_off_cpu_options){.limit = 1, .max_frames = 2});
    assert_int_equal(result.n_rows, 1);
    assert_int_equal(result.all_rows, 3);
    assert_int_equal(result.rows[0].n_stack, 2);
    assert_int_equal(result.rows[0].frames, 3);

    result =
        ask(&scene, (struct query_off_cpu_options){.has_reason = true, .reason = WAIT_REASON_LOCK});
    assert_int_equal(result.n_rows, 1);
    assert_int_equal(result.selected_ns, 800);
    assert_int_equal(result.waits, 2);
    assert_int_equal(result.totals.off_cpu_ns, 9800);

    result =
        ask(&scene, (struct query_off_cpu_options){.has_reason = true, .reason = WAIT_REASON_SEM});
    assert_int_equal(result.n_rows, 0);
    assert_non_null(strstr(result.hint, "reason sem"));
    assert_non_null(strstr(result.hint, "--by reason"));
    scene_end(&scene);
}

static void rows_can_stand_for_reasons_and_threads(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_waits(&scene);
    struct off_cpu_result result =
        ask(&scene, (struct query_off_cpu_options){.by = OFF_CPU_BY_REASON});
    assert_int_equal(result.by, OFF_CPU_BY_REASON);
    assert_int_equal(result.n_rows, 3);
    assert_int_equal(result.rows[2].reason, WAIT_REASON_LOCK);
    assert_int_equal(result.rows[2].total_ns, 800);

    result = ask(&scene, (struct query_off_cpu_options){.by = OFF_CPU_BY_THREAD});
    assert_int_equal(result.n_rows, 4); /* ready and lock of main, sleep and lock of second */
    uint64_t main_ns = 0;
    for (size_t i = 0; i < result.n_rows; i++) {
        assert_true(result.rows[i].tid == TEST_PID || result.rows[i].tid == TEST_PID + 1);
        main_ns += result.rows[i].tid == TEST_PID ? result.rows[i].total_ns : 0;
    }
    assert_int_equal(main_ns, 5500);
    scene_end(&scene);
}

static void ranges_cut_waits(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_waits(&scene);
    /* [5000, 10000): 1000 of the second wait of main, 500, 1000 of the open one; 2500 of second. */
    scene.view = (struct view){.has_from = true, .from_ns = 4999, .has_to = true, .to_ns = 9999};
    struct off_cpu_result result = ask(&scene, (struct query_off_cpu_options){0});
    assert_int_equal(result.n_rows, 3);
    assert_int_equal(result.rows[0].total_ns, 2500);
    assert_int_equal(result.rows[0].reason, WAIT_REASON_SLEEP);
    assert_int_equal(result.rows[1].total_ns, 2000);
    assert_int_equal(result.rows[1].count, 2);
    assert_int_equal(result.rows[1].open, 1);
    assert_int_equal(result.rows[1].p50_ns, 1000);
    assert_int_equal(result.rows[2].total_ns, 500);

    scene.view = (struct view){.has_to = true, .to_ns = 900};
    result = ask(&scene, (struct query_off_cpu_options){0});
    assert_int_equal(result.n_rows, 0);
    assert_non_null(strstr(result.hint, "no waits in this range"));
    scene_end(&scene);
}

static const char *name_address(void *userdata, struct arena *arena, int64_t pid, uint64_t address)
{
    (void)userdata;
    (void)arena;
    (void)pid;
    (void)address;
    return NULL;
}

static const char *name_descriptor(void *userdata, struct arena *arena, int64_t pid, int fd)
{
    (void)userdata;
    return pid == TEST_PID ? arena_printf(arena, "pipe:[%d]", fd) : NULL;
}

/* Found by looks: marked, named by kernel place and system call, with what was waited for. */
static void approximate_waits_are_marked_and_have_objects(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    const uint64_t ips[] = {place_in(walk_tree, 1), place_in(run_worker, 2)};
    tell_start(&scene, 1000, TEST_PID, "main");
    for (uint64_t i = 1; i <= 5; i++) {
        struct event_wait_object object = object_of(SYS_read, i < 4 ? 7 : 5 + i);
        tell_sample(scene.aggregate, 2000 * i - 100, TEST_PID, ips, 2);
        tell_out(scene.aggregate, 2000 * i, TEST_PID, false);
        tell_seen(&scene, 2000 * i + 500, TEST_PID, "pipe_read", object);
        tell_in(scene.aggregate, 2000 * i + 1000, TEST_PID);
    }
    scene_freeze(&scene, 20000);
    const struct object_namer namer = {.name_descriptor = name_descriptor,
                                       .name_address = name_address};
    scene.context.objects = &namer;
    struct off_cpu_result result = ask(&scene, (struct query_off_cpu_options){0});
    assert_int_equal(result.n_rows, 1);
    const struct off_cpu_row *row = &result.rows[0];
    assert_int_equal(row->reason, WAIT_REASON_IPC);
    assert_int_equal(row->count, 5);
    assert_int_equal(row->p50_ns, 1000);
    assert_true(row->approximate);
    assert_string_equal(row->wait_site, "pipe_read");
    assert_int_equal(row->n_stack, 3);
    assert_string_equal(row->stack[0].name, "pipe_read");
    assert_string_equal(row->stack[1].name, "walk_tree");
    assert_string_equal(row->object, "pipe:[7] and 2 more");
    assert_non_null(strstr(result.hint, "stax doctor"));
    scene_end(&scene);
}

static void waits_without_any_stack_say_so(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_start(&scene, 1000, TEST_PID, "main");
    tell_out(scene.aggregate, 2000, TEST_PID, false);
    tell_in(scene.aggregate, 3000, TEST_PID);
    scene_freeze(&scene, 4000);
    struct off_cpu_result result = ask(&scene, (struct query_off_cpu_options){0});
    assert_int_equal(result.n_rows, 1);
    assert_int_equal(result.rows[0].reason, WAIT_REASON_OTHER);
    assert_int_equal(result.rows[0].n_stack, 0);
    assert_null(result.rows[0].wait_site);
    assert_false(result.rows[0].complete);
    assert_non_null(strstr(result.hint, "no wait has a stack"));
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stacks_of_the_same_functions_are_one_row),
        cmocka_unit_test(rows_can_be_limited_and_chosen),
        cmocka_unit_test(rows_can_stand_for_reasons_and_threads),
        cmocka_unit_test(ranges_cut_waits),
        cmocka_unit_test(approximate_waits_are_marked_and_have_objects),
        cmocka_unit_test(waits_without_any_stack_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
