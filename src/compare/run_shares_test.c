/* SPDX-License-Identifier: MIT */
#include "query/query_test.h"

#include <math.h>
#include <string.h>

#include "compare/run_shares.h"

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof(*(array))))

struct measured {
    struct scene scene;
    struct function_identities identities;
    struct run_shares shares;
};

/*
 * One thread: 100 samples in hash_key, of which the first 50 are called by a
 * recursive walk_tree, then 100 in walk_tree. Another one ran as long, and has
 * half as many samples, in copy_bytes.
 */
static void begin(struct measured *measured)
{
    struct scene *scene = &measured->scene;
    const uint64_t recursive[] = {place_in(hash_key, 1), place_in(walk_tree, 2),
                                  place_in(walk_tree, 5), place_in(run_worker, 6)};
    const uint64_t direct[] = {place_in(hash_key, 9), place_in(run_worker, 1)};
    const uint64_t walking[] = {place_in(walk_tree, 0), place_in(run_worker, 6)};
    const uint64_t other[] = {place_in(copy_bytes, 0), place_in(run_worker, 6)};
    scene_begin(scene, true, false);
    tell_in(scene->aggregate, 1000, TEST_PID);
    tell_in(scene->aggregate, 1000, TEST_PID + 1);
    for (uint64_t i = 0; i < 200; i++) {
        uint64_t time_ns = 1001 + 5 * i;
        if (i < 100) {
            tell_sample(scene->aggregate, time_ns, TEST_PID, i < 50 ? recursive : direct,
                        i < 50 ? COUNT(recursive) : COUNT(direct));
        } else {
            tell_sample(scene->aggregate, time_ns, TEST_PID, walking, COUNT(walking));
        }
        if (i % 2 == 0) {
            tell_sample(scene->aggregate, time_ns, TEST_PID + 1, other, COUNT(other));
        }
    }
    tell_out(scene->aggregate, 2000, TEST_PID, false);
    tell_out(scene->aggregate, 2000, TEST_PID + 1, false);
    scene_freeze(scene, 2000);
    function_identities_init(&measured->identities, &scene->arena);
    assert_int_equal(
        function_identities_look(&measured->identities, IDENTITY_SIDE_BASE, scene->snapshot), 0);
    assert_int_equal(run_shares_measure(&scene->context, &measured->identities, &measured->shares,
                                        &scene->error),
                     0);
}

static void end(struct measured *measured)
{
    function_identities_release(&measured->identities);
    scene_end(&measured->scene);
}

static uint32_t find(const struct measured *measured, const char *name)
{
    for (uint32_t i = 0; i < measured->identities.n_functions; i++) {
        if (strcmp(measured->identities.functions[i].name, name) == 0) {
            return i;
        }
    }
    fail_msg("there is no %s", name);
    return 0;
}

static void assert_near(double value, double expected)
{
    if (fabs(value - expected) > 1e-6) {
        fail_msg("%.9g is not %.9g", value, expected);
    }
}

static void shares_are_of_cpu_time(void **state)
{
    (void)state;
    struct measured measured;
    begin(&measured);
    const struct run_shares *shares = &measured.shares;
    assert_near(run_shares_self(shares, find(&measured, "hash_key")), 0.25);
    assert_near(run_shares_self(shares, find(&measured, "walk_tree")), 0.25);
    assert_near(run_shares_total(shares, find(&measured, "walk_tree")), 0.375);
    assert_near(run_shares_self(shares, find(&measured, "copy_bytes")), 0.5);
    assert_near(run_shares_total(shares, find(&measured, "run_worker")), 1);
    assert_near(run_shares_self(shares, measured.identities.n_functions + 5), 0);
    assert_int_equal(run_shares_sums(shares, find(&measured, "walk_tree")).total_samples, 150);
    /* 200 of weight one, 100 of weight two. */
    assert_near(shares->n_independent, 400.0 * 400.0 / (200 + 100 * 4));
    end(&measured);
}

#define BINS 10

static void series_tell_when(void **state)
{
    (void)state;
    struct measured measured;
    begin(&measured);
    uint32_t n_functions = measured.identities.n_functions;
    uint32_t *rows = arena_alloc_array(&measured.scene.arena, n_functions, sizeof(*rows));
    double values[4 * BINS] = {0};
    struct share_series series = {.n_bins = BINS, .n_rows = 4, .values = values};
    memset(rows, 0xff, n_functions * sizeof(*rows));
    rows[find(&measured, "hash_key")] = 0;
    rows[find(&measured, "walk_tree")] = 2;
    assert_int_equal(run_shares_add_series(&measured.shares, rows, n_functions, 0.5, &series), 0);
    assert_int_equal(run_shares_add_series(&measured.shares, rows, n_functions, 0.5, &series), 0);
    for (size_t i = 0; i < BINS; i++) {
        bool is_early = i < BINS / 2;
        /* A bin can begin with one thread's sample and end with it, too. */
        double hash = is_early ? 0.5 : 0, walk = is_early ? 0 : 0.5;
        assert_true(fabs(values[0 * BINS + i] - hash) < 0.03);
        assert_true(fabs(values[1 * BINS + i] - hash) < 0.03);
        assert_true(fabs(values[2 * BINS + i] - walk) < 0.03);
    }
    assert_true(values[3 * BINS + 1] > 0.47 && values[3 * BINS + 3] < 0.03);
    /* The mean over time is the share. */
    static const double means[] = {0.25, 0.25, 0.25, 0.375};
    for (size_t row = 0; row < 4; row++) {
        double mean = 0;
        for (size_t i = 0; i < BINS; i++) {
            mean += values[row * BINS + i] / BINS;
        }
        assert_near(mean, means[row]);
    }
    end(&measured);
}

/* Other tools' samples stand for what they say. */
static void samples_may_weigh_what_they_say(void **state)
{
    (void)state;
    struct measured measured = {.scene = {0}};
    struct scene *scene = &measured.scene;
    const uint64_t stacks[] = {place_in(hash_key, 1), place_in(walk_tree, 2)};
    scene_begin(scene, true, true);
    for (uint64_t i = 0; i < 200; i++) {
        tell(scene->aggregate, (struct event){.kind = EVENT_SAMPLE,
                                              .time_ns = 1001 + i,
                                              .pid = TEST_PID,
                                              .tid = TEST_PID,
                                              .stack = {.ips = &stacks[i / 100], .n_ips = 1},
                                              .sample = {.period_ns = i < 100 ? 100 : 300}});
    }
    scene_freeze(scene, 2000);
    function_identities_init(&measured.identities, &scene->arena);
    assert_int_equal(
        function_identities_look(&measured.identities, IDENTITY_SIDE_BASE, scene->snapshot), 0);
    struct run_shares *shares = &measured.shares;
    assert_int_equal(
        run_shares_measure(&scene->context, &measured.identities, shares, &scene->error), 0);
    assert_near(run_shares_self(shares, find(&measured, "hash_key")), 0.25);
    assert_near(shares->n_independent, 400.0 * 400.0 / (100 + 100 * 9));
    /* The first quarter of the time is the first function's, not the first half. */
    uint32_t n_functions = measured.identities.n_functions;
    uint32_t *rows = arena_alloc_array(&scene->arena, n_functions, sizeof(*rows));
    double values[2 * 4] = {0};
    struct share_series series = {.n_bins = 4, .n_rows = 2, .values = values};
    memset(rows, 0xff, n_functions * sizeof(*rows));
    rows[find(&measured, "hash_key")] = 0;
    assert_int_equal(run_shares_add_series(shares, rows, n_functions, 1, &series), 0);
    assert_near(values[0], 1);
    assert_near(values[1] + values[2] + values[3], 0);
    end(&measured);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_of_cpu_time),
        cmocka_unit_test(series_tell_when),
        cmocka_unit_test(samples_may_weigh_what_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
