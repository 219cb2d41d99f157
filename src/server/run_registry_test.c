/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/capture.h"
#include "server/run_registry.h"
#include "server/run_test.h"

static struct run_registry registry;

static int set_up(void **state)
{
    (void)state;
    run_registry_init(&registry);
    return begin_surroundings();
}

static int tear_down(void **state)
{
    (void)state;
    run_registry_release(&registry);
    end_surroundings();
    return 0;
}

/* A run that has ended already: what the registry does with it is all that matters here. */
static struct run *ended_run(run_id id)
{
    const struct start_request request = {.replay = "samples=0,threads=1,images=1",
                                          .frequency_hz = 900,
                                          .max_memory_bytes = LIMIT_MEMORY_DEFAULT_BYTES};
    const struct run_config config = {
        .id = id,
        .capture = &capture_fake_ops,
        .request = &request,
        .symbolizer = symbolizer,
        .on_change = on_change,
    };
    struct run *run = NULL;
    assert_int_equal(run_new(&config, &run), 0);
    while (run_get_phase(run) != RUN_PHASE_STOPPED) {
        uv_sem_wait(&changed);
    }
    run_join(run);
    return run;
}

static run_id go_through(void)
{
    run_id id = run_registry_next_id(&registry);
    run_registry_begin(&registry, ended_run(id));
    run_registry_commit(&registry);
    run_registry_retire(&registry);
    return id;
}

static void test_one_life(void **state)
{
    (void)state;
    assert_null(run_registry_active(&registry));
    assert_null(run_registry_meant(&registry, 0));
    assert_int_equal(run_registry_next_id(&registry), 1);
    run_registry_begin(&registry, ended_run(1));
    /* Not to be seen before it records. */
    assert_null(run_registry_active(&registry));
    assert_null(run_registry_find(&registry, 1));
    assert_null(run_registry_meant(&registry, 0));
    run_registry_commit(&registry);
    struct run *run = run_registry_active(&registry);
    assert_int_equal(run_get_id(run), 1);
    assert_ptr_equal(run_registry_meant(&registry, 0), run);
    assert_int_equal(registry.selected, 1);
    run_registry_retire(&registry);
    assert_null(run_registry_active(&registry));
    assert_ptr_equal(run_registry_meant(&registry, 0), run);
    assert_ptr_equal(run_registry_meant(&registry, 1), run);
    assert_null(run_registry_meant(&registry, 2));
}

static void test_a_failed_start_leaves_no_trace(void **state)
{
    (void)state;
    assert_int_equal(go_through(), 1);
    run_registry_begin(&registry, ended_run(run_registry_next_id(&registry)));
    run_unref(run_registry_abandon(&registry));
    assert_int_equal(registry.n_runs, 1);
    assert_int_equal(run_registry_next_id(&registry), 2);
    assert_int_equal(go_through(), 2);
}

static void test_selection(void **state)
{
    (void)state;
    go_through();
    go_through();
    assert_int_equal(run_get_id(run_registry_meant(&registry, 0)), 2);
    assert_true(run_registry_select(&registry, 1));
    assert_false(run_registry_select(&registry, 3));
    assert_int_equal(run_get_id(run_registry_meant(&registry, 0)), 1);
    /* The active run goes before the selected one, and stays selected afterwards. */
    go_through();
    assert_int_equal(run_get_id(run_registry_meant(&registry, 0)), 3);
}

static void test_history_is_bounded(void **state)
{
    (void)state;
    go_through();
    for (unsigned i = 1; i < RUN_REGISTRY_MAX_RUNS; i++) {
        go_through();
    }
    struct run *first = run_ref(run_registry_find(&registry, 1));
    go_through();
    assert_int_equal(registry.n_runs, RUN_REGISTRY_MAX_RUNS);
    assert_null(run_registry_find(&registry, 1));
    assert_non_null(run_registry_find(&registry, 2));
    assert_int_equal(run_get_id(first), 1); /* whoever still asks it keeps it */
    run_unref(first);
    assert_int_equal(run_registry_next_id(&registry), RUN_REGISTRY_MAX_RUNS + 2);
}

static void test_parts_get_numbers_of_their_own_while_another_run_starts(void **state)
{
    (void)state;
    assert_int_equal(go_through(), 1);
    run_registry_begin(&registry, ended_run(run_registry_next_id(&registry)));
    run_registry_add_part(&registry, ended_run(0));
    run_registry_add_part(&registry, ended_run(0));
    assert_int_equal(registry.n_runs, 3);
    assert_int_equal(run_get_id(registry.runs[1]), 3);
    assert_int_equal(run_get_id(registry.runs[2]), 4);
    run_registry_commit(&registry);
    assert_int_equal(run_get_id(run_registry_active(&registry)), 2);
    assert_int_equal(run_registry_next_id(&registry), 5);
    run_registry_retire(&registry);
}

static void test_an_opened_run_may_leave_the_selection(void **state)
{
    (void)state;
    run_registry_add(&registry, ended_run(0), true);
    assert_int_equal(registry.selected, 1); /* nothing else was */
    run_registry_add(&registry, ended_run(0), true);
    assert_int_equal(registry.selected, 1);
    run_registry_begin(&registry, ended_run(run_registry_next_id(&registry)));
    run_registry_keep_selection(&registry);
    run_registry_commit(&registry);
    run_registry_retire(&registry);
    assert_int_equal(registry.selected, 1);
    run_registry_add(&registry, ended_run(0), false);
    assert_int_equal(registry.selected, 4);
    assert_int_equal(go_through(), 5);
    assert_int_equal(registry.selected, 5);
}

static void test_release_while_starting(void **state)
{
    (void)state;
    go_through();
    run_registry_begin(&registry, ended_run(2));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_life),
        TEST(test_a_failed_start_leaves_no_trace),
        TEST(test_selection),
        TEST(test_history_is_bounded),
        TEST(test_parts_get_numbers_of_their_own_while_another_run_starts),
        TEST(test_an_opened_run_may_leave_the_selection),
        TEST(test_release_while_starting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
