/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "capture/capture.h"
#include "server/run_diagnose.h"
#include "server/run_test.h"

static int set_up(void **state)
{
    (void)state;
    return begin_surroundings();
}

static int tear_down(void **state)
{
    (void)state;
    end_surroundings();
    return 0;
}

static struct run *play(const char *script)
{
    const struct start_request request = {
        .replay = script, .frequency_hz = 900, .max_memory_bytes = LIMIT_MEMORY_DEFAULT_BYTES};
    const struct run_config config = {
        .id = 1,
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

static uint64_t counter(const struct diagnose_result *result, const char *name)
{
    for (size_t i = 0; i < result->n_counters; i++) {
        if (strcmp(result->counters[i].name, name) == 0) {
            return result->counters[i].value;
        }
    }
    fail_msg("there is no counter %s", name);
    return 0;
}

static bool has_hint(const struct diagnose_result *result, const char *part)
{
    bool is_found = false;
    for (size_t i = 0; i < result->n_hints; i++) {
        is_found = is_found || strstr(result->hints[i], part);
    }
    return is_found;
}

/* What the script says is what every room has counted. */
static void test_the_rooms_agree(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    struct diagnose_result result;
    arena_init(&arena, 0);
    struct run *run = play("samples=20000,threads=6,images=4,switches=1000,block=1");
    assert_int_equal(run_diagnose(run, NULL, &arena, &result), 0);
    assert_int_equal(result.run.id, 1);
    assert_int_equal(result.run.state, RUN_STATE_STOPPED);
    assert_int_equal(result.stacks.total, 20000);
    assert_int_equal(result.stacks.complete, 20000);
    assert_int_equal(counter(&result, "samples"), 20000);
    assert_int_equal(counter(&result, "threads"), 6);
    assert_int_equal(counter(&result, "events_applied"), counter(&result, "events_delivered"));
    assert_int_equal(counter(&result, "queue_lost"), 0);
    for (size_t i = 0; i < result.n_lost; i++) {
        assert_int_equal(result.lost[i].count, 0);
    }
    uint64_t n_frames = 0;
    for (size_t i = 0; i < result.n_images; i++) {
        assert_true(i == 0 || result.images[i].frames <= result.images[i - 1].frames);
        assert_non_null(result.images[i].state);
        n_frames += result.images[i].frames;
    }
    assert_int_equal(n_frames, counter(&result, "distinct_frames"));
    assert_non_null(strstr(result.images[0].path, "replay"));
    assert_true(has_hint(&result, "no process was recorded")); /* the run's own note */
    assert_false(has_hint(&result, "dropped"));
    assert_false(has_hint(&result, "no samples"));
    run_unref(run);
}

static void test_a_run_without_samples_says_so(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    struct diagnose_result result;
    arena_init(&arena, 0);
    struct run *run = play("samples=0");
    assert_int_equal(run_diagnose(run, NULL, &arena, &result), 0);
    assert_int_equal(result.stacks.total, 0);
    assert_true(has_hint(&result, "no samples"));
    run_unref(run);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_rooms_agree),
        TEST(test_a_run_without_samples_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
