/* SPDX-License-Identifier: MIT */
#include "query/query_extract.h"

#include <errno.h>
#include <stdlib.h>

#include "query/span_test.h"

#define RUNS 60

/* The run that is asked about a range, and what was taken out of it, asked about all of it. */
struct pair {
    struct scene scene;
    struct aggregate *part;
    struct snapshot *part_snapshot;
    struct query_context part_context;
    struct view everything;
};

static void take_part(struct pair *pair, uint64_t from_ns, uint64_t to_ns)
{
    struct scene *scene = &pair->scene;
    const struct aggregate_config config = {0};
    uint64_t start_ns = scene->snapshot->start_ns;
    assert_int_equal(
        query_extract(&scene->context, from_ns, to_ns, &config, &pair->part, &scene->error), 0);
    pair->part_snapshot = aggregate_snapshot(pair->part, 0);
    assert_non_null(pair->part_snapshot);
    assert_int_equal(pair->part_snapshot->start_ns, from_ns);
    assert_int_equal(pair->part_snapshot->now_ns, to_ns);
    scene->view = (struct view){.has_from = true,
                                .has_to = true,
                                .from_ns = (int64_t)(from_ns - start_ns),
                                .to_ns = (int64_t)(to_ns - start_ns)};
    pair->part_context = scene->context;
    pair->part_context.snapshot = pair->part_snapshot;
    pair->part_context.view = &pair->everything;
}

static void drop_part(struct pair *pair)
{
    snapshot_unref(pair->part_snapshot);
    pair->part = aggregate_free(pair->part);
}

static uint64_t away(uint64_t one, uint64_t other)
{
    return one > other ? one - other : other - one;
}

/* Shares of an exact time are rounded, and by sample or by stack it is done at other places. */
static void assert_near(uint64_t one, uint64_t other, uint64_t tolerance)
{
    if (away(one, other) > tolerance) {
        print_error("%llu and %llu\n", (unsigned long long)one, (unsigned long long)other);
    }
    assert_true(away(one, other) <= tolerance);
}

static void assert_same_totals(const struct totals *one, const struct totals *other)
{
    assert_int_equal(one->cpu_ns, other->cpu_ns);
    assert_int_equal(one->off_cpu_ns, other->off_cpu_ns);
    assert_int_equal(one->runq_ns, other->runq_ns);
    assert_int_equal(one->samples, other->samples);
}

static void compare_top(struct pair *pair)
{
    const struct query_top_options options = {.sort = TOP_SORT_SELF};
    struct top_result whole, part;
    assert_int_equal(query_top(&pair->scene.context, &options, &whole, &pair->scene.error), 0);
    assert_int_equal(query_top(&pair->part_context, &options, &part, &pair->scene.error), 0);
    assert_same_totals(&whole.totals, &part.totals);
    assert_int_equal(whole.n_rows, part.n_rows);
    for (size_t i = 0; i < whole.n_rows; i++) {
        const struct top_row *one = &whole.rows[i];
        size_t k = 0;
        while (k + 1 < part.n_rows && strcmp(part.rows[k].name, one->name) != 0) {
            k++;
        }
        const struct top_row *other = &part.rows[k];
        assert_string_equal(other->name, one->name);
        assert_int_equal(one->self_samples, other->self_samples);
        assert_int_equal(one->total_samples, other->total_samples);
        assert_near(one->self_active_ns, other->self_active_ns, one->self_samples + 1);
        assert_near(one->total_active_ns, other->total_active_ns, one->total_samples + 1);
    }
}

static void compare_flame(struct pair *pair)
{
    const struct query_flame_options options = {0};
    struct flame_result whole, part;
    assert_int_equal(query_flame(&pair->scene.context, &options, &whole, &pair->scene.error), 0);
    assert_int_equal(query_flame(&pair->part_context, &options, &part, &pair->scene.error), 0);
    assert_same_totals(&whole.totals, &part.totals);
    assert_int_equal(whole.root.active_ns, part.root.active_ns);
    assert_int_equal(whole.root.off_cpu_ns, part.root.off_cpu_ns);
    assert_int_equal(whole.root.runq_ns, part.root.runq_ns);
    assert_int_equal(whole.root.samples, part.root.samples);
    assert_int_equal(whole.root.n_children, part.root.n_children);
}

static void compare_threads(struct pair *pair)
{
    const struct query_threads_options options = {0};
    struct threads_result whole, part;
    assert_int_equal(query_threads(&pair->scene.context, &options, &whole, &pair->scene.error), 0);
    assert_int_equal(query_threads(&pair->part_context, &options, &part, &pair->scene.error), 0);
    assert_int_equal(whole.n_rows, part.n_rows);
    assert_int_equal(pair->part_snapshot->n_threads, part.n_rows);
    for (size_t i = 0; i < whole.n_rows; i++) {
        const struct thread_row *one = &whole.rows[i], *other = &part.rows[i];
        assert_int_equal(one->tid, other->tid);
        assert_string_equal(one->name, other->name);
        assert_int_equal(one->cpu_ns, other->cpu_ns);
        assert_int_equal(one->runq_ns, other->runq_ns);
        assert_int_equal(one->off_cpu_ns, other->off_cpu_ns);
        assert_int_equal(one->samples, other->samples);
        assert_int_equal(one->voluntary_switches, other->voluntary_switches);
        assert_int_equal(one->involuntary_switches, other->involuntary_switches);
    }
}

static void compare_off_cpu(struct pair *pair)
{
    static const enum off_cpu_by by[] = {OFF_CPU_BY_STACK, OFF_CPU_BY_REASON, OFF_CPU_BY_THREAD};
    for (size_t i = 0; i < sizeof(by) / sizeof(by[0]); i++) {
        const struct query_off_cpu_options options = {.by = by[i]};
        struct off_cpu_result whole, part;
        assert_int_equal(query_off_cpu(&pair->scene.context, &options, &whole, &pair->scene.error),
                         0);
        assert_int_equal(query_off_cpu(&pair->part_context, &options, &part, &pair->scene.error),
                         0);
        assert_same_totals(&whole.totals, &part.totals);
        assert_int_equal(whole.waits, part.waits);
        assert_int_equal(whole.open, part.open);
        assert_int_equal(whole.selected_ns, part.selected_ns);
        assert_int_equal(whole.n_rows, part.n_rows);
        for (size_t k = 0; k < whole.n_rows; k++) {
            assert_int_equal(whole.rows[k].count, part.rows[k].count);
            assert_int_equal(whole.rows[k].total_ns, part.rows[k].total_ns);
            assert_int_equal(whole.rows[k].max_ns, part.rows[k].max_ns);
            assert_int_equal(whole.rows[k].tid, part.rows[k].tid);
        }
    }
}

static void compare_timeline(struct pair *pair)
{
    const struct query_timeline_options options = {.buckets = 7};
    struct timeline_result whole, part;
    assert_int_equal(query_timeline(&pair->scene.context, &options, &whole, &pair->scene.error), 0);
    assert_int_equal(query_timeline(&pair->part_context, &options, &part, &pair->scene.error), 0);
    assert_same_totals(&whole.totals, &part.totals);
    assert_int_equal(whole.bucket_ns, part.bucket_ns);
    assert_int_equal(whole.n_rows, part.n_rows);
    for (size_t i = 0; i < whole.n_rows; i++) {
        const struct timeline_row *one = &whole.rows[i], *other = &part.rows[i];
        assert_int_equal(one->tid, other->tid);
        /* Of a slice that lasts the run does not know how late it was told; the part does not
         * need to. */
        uint64_t lag_ns = pair->scene.snapshot->switch_lag_ns;
        for (size_t k = 0; k < one->n_cpu_by_bucket_ns; k++) {
            assert_near(one->cpu_by_bucket_ns[k], other->cpu_by_bucket_ns[k], lag_ns);
            assert_near(one->runq_by_bucket_ns[k], other->runq_by_bucket_ns[k], lag_ns);
            assert_near(one->off_cpu_by_bucket_ns[k], other->off_cpu_by_bucket_ns[k], lag_ns);
        }
    }
}

static void compare_wakers(struct pair *pair)
{
    const struct query_wakers_options options = {0};
    struct wakers_result whole, part;
    assert_int_equal(query_wakers(&pair->scene.context, &options, &whole, &pair->scene.error), 0);
    assert_int_equal(query_wakers(&pair->part_context, &options, &part, &pair->scene.error), 0);
    assert_int_equal(whole.count, part.count);
    assert_int_equal(whole.wait_ended_ns, part.wait_ended_ns);
    assert_int_equal(whole.n_rows, part.n_rows);
    for (size_t i = 0; i < whole.n_rows; i++) {
        assert_int_equal(whole.rows[i].wait_ended_ns, part.rows[i].wait_ended_ns);
        assert_int_equal(whole.rows[i].count, part.rows[i].count);
    }
}

static void compare_all(struct pair *pair)
{
    compare_top(pair);
    compare_flame(pair);
    compare_threads(pair);
    compare_off_cpu(pair);
    compare_timeline(pair);
    compare_wakers(pair);
}

static void end_pair(struct pair *pair)
{
    scene_end(&pair->scene);
}

static uint64_t earlier(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

static void a_part_answers_like_the_range(void **state)
{
    (void)state;
    for (unsigned int seed = 1; seed <= RUNS; seed++) {
        struct pair pair = {.everything = {0}};
        scene_begin(&pair.scene, false, false);
        struct random_life life = {.state = seed,
                                   .n_threads = 2 + seed % 9,
                                   .sample_pct = 50,
                                   .has_switches = true,
                                   .has_wakers = seed % 3 != 0};
        random_life_play(&life, pair.scene.aggregate, 4000);
        if (seed % 4 == 0) {
            aggregate_end(pair.scene.aggregate, life.now_ns + 3);
        }
        scene_freeze(&pair.scene, life.now_ns + seed * 1000);
        /* As where switches are told late: queries about a range take it off all that is stored. */
        pair.scene.snapshot->switch_lag_ns = seed % 5 == 0 ? 5000 : 0;
        uint64_t start_ns = pair.scene.snapshot->start_ns, end_ns = pair.scene.snapshot->now_ns;
        struct random_life chance = {.state = seed + 1000};
        for (int i = 0; i < 6; i++) {
            uint64_t one = start_ns + random_life_below(&chance, end_ns - start_ns);
            uint64_t other = start_ns + random_life_below(&chance, end_ns - start_ns);
            uint64_t to_ns = i < 3 ? end_ns : (one > other ? one : other) + 1;
            take_part(&pair, i == 0 ? start_ns : earlier(one, other), to_ns);
            compare_all(&pair);
            drop_part(&pair);
            scene_ask_anew(&pair.scene);
        }
        end_pair(&pair);
    }
}

/* Threads that came and went before have no number in it, and those that are left have new ones. */
static void threads_of_other_times_are_left_out(void **state)
{
    (void)state;
    struct pair pair = {.everything = {0}};
    scene_begin(&pair.scene, false, false);
    struct aggregate *aggregate = pair.scene.aggregate;
    for (int64_t i = 0; i < 50; i++) {
        uint64_t born_ns = 1000 * TEST_MS + (uint64_t)i * TEST_MS;
        tell_thread(aggregate, born_ns, 200 + i, EVENT_THREAD_BORN, NULL);
        tell_in(aggregate, born_ns + 10, 200 + i);
        tell_thread(aggregate, born_ns + TEST_MS / 2, 200 + i, EVENT_THREAD_GONE, NULL);
    }
    scene_freeze(&pair.scene, 1100 * TEST_MS);
    assert_true(pair.scene.snapshot->n_threads >= 50);
    take_part(&pair, 1047 * TEST_MS, 1100 * TEST_MS);
    assert_int_equal(pair.part_snapshot->n_threads, pair.scene.snapshot->n_threads - 47);
    compare_all(&pair);
    drop_part(&pair);
    end_pair(&pair);
}

static void samples_alone_are_taken_as_well(void **state)
{
    (void)state;
    struct pair pair = {.everything = {0}};
    scene_begin(&pair.scene, false, true);
    struct random_life life = {.state = 3, .n_threads = 4, .sample_pct = 80};
    random_life_play(&life, pair.scene.aggregate, 3000);
    scene_freeze(&pair.scene, life.now_ns);
    uint64_t start_ns = pair.scene.snapshot->start_ns;
    uint64_t third_ns = (life.now_ns - start_ns) / 3;
    take_part(&pair, start_ns + third_ns, start_ns + 2 * third_ns);
    assert_true(pair.part_snapshot->has_no_switches);
    compare_top(&pair);
    compare_flame(&pair);
    drop_part(&pair);
    end_pair(&pair);
}

static void tell_total(struct aggregate *aggregate, uint64_t time_ns, int64_t tid, uint64_t cycles)
{
    const uint64_t ips[] = {0x11000 + tid};
    const struct event_counters counters = {
        .group = 5, .enabled_ns = time_ns, .running_ns = time_ns, .slots = 1, .values = {cycles}};
    tell(aggregate, (struct event){.kind = EVENT_COUNTERS,
                                   .time_ns = time_ns,
                                   .pid = TEST_PID,
                                   .tid = tid,
                                   .stack = {.ips = ips, .n_ips = 1},
                                   .counters = &counters});
}

static void counters_are_those_of_the_range(void **state)
{
    (void)state;
    static const struct counter_set set = {
        .is_wanted = true,
        .is_available = true,
        .counters = {{.name = "cycles", .is_available = true}},
    };
    const struct query_counters_options options = {.set = &set};
    struct pair pair = {.everything = {0}};
    scene_begin(&pair.scene, false, false);
    tell_mapped(pair.scene.aggregate, 1, 0x10000, 0x20000, 0, "/bin/life");
    tell_in(pair.scene.aggregate, 2, TEST_PID);
    for (uint64_t i = 1; i <= 10; i++) {
        tell_total(pair.scene.aggregate, i * TEST_MS, TEST_PID, i * i * 1000);
    }
    scene_freeze(&pair.scene, 11 * TEST_MS);
    take_part(&pair, 4 * TEST_MS, 8 * TEST_MS);
    struct counters_result whole, part;
    assert_int_equal(query_counters(&pair.scene.context, &options, &whole, &pair.scene.error), 0);
    assert_int_equal(query_counters(&pair.part_context, &options, &part, &pair.scene.error), 0);
    assert_int_equal(whole.total.cycles, (7 * 7 - 3 * 3) * 1000);
    assert_int_equal(part.total.cycles, whole.total.cycles);
    assert_int_equal(part.total.samples, whole.total.samples);
    assert_int_equal(part.n_rows, whole.n_rows);
    drop_part(&pair);
    end_pair(&pair);
}

static void compare_spans(struct pair *pair)
{
    const struct query_target_top_options top = {0};
    const struct query_target_origins_options origins = {0};
    const struct query_context *contexts[] = {&pair->scene.context, &pair->part_context};
    struct target_top_result tops[2];
    struct target_origins_result from[2];
    struct error *error = &pair->scene.error;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(query_target_top(contexts[i], &top, &tops[i], error), 0);
        assert_int_equal(query_target_origins(contexts[i], &origins, &from[i], error), 0);
    }
    assert_int_equal(tops[0].spans, tops[1].spans);
    assert_int_equal(tops[0].target_ns, tops[1].target_ns);
    assert_int_equal(tops[0].n_rows, tops[1].n_rows);
    for (size_t i = 0; i < tops[0].n_rows; i++) {
        const struct target_top_row *one = &tops[0].rows[i], *other = &tops[1].rows[i];
        assert_string_equal(one->name, other->name);
        assert_string_equal(one->lane, other->lane);
        assert_int_equal(one->tid, other->tid);
        assert_int_equal(one->n_path, other->n_path);
        assert_int_equal(one->spans, other->spans);
        assert_int_equal(one->total_ns, other->total_ns);
        assert_int_equal(one->waits, other->waits);
        assert_int_equal(one->waited_ns, other->waited_ns);
        assert_true(one->max_ns >= other->max_ns); /* those at the edges are cut */
    }
    assert_memory_equal(&from[0].origins, &from[1].origins, sizeof(from[0].origins));
    assert_memory_equal(&from[0].linked, &from[1].linked, sizeof(from[0].linked));
    assert_memory_equal(&from[0].too_far, &from[1].too_far, sizeof(from[0].too_far));
    assert_int_equal(from[0].bound_ns, from[1].bound_ns);
    assert_int_equal(from[0].n_waiters, from[1].n_waiters);
    for (size_t i = 0; i < from[0].n_waiters; i++) {
        assert_int_equal(from[0].waiters[i].count, from[1].waiters[i].count);
        assert_int_equal(from[0].waiters[i].waited_ns, from[1].waiters[i].waited_ns);
        assert_int_equal(from[0].waiters[i].n_stack, from[1].waiters[i].n_stack);
    }
}

static void spans_are_those_of_the_range(void **state)
{
    (void)state;
    static struct span_told told[500];
    struct random_life chance = {.state = 8};
    for (unsigned int i = 0; i < 30; i++) {
        struct pair pair = {0};
        if (i == 0) {
            span_test_begin(&pair.scene);
        } else {
            span_test_begin_random(&pair.scene, told, 500);
        }
        uint64_t start_ns = pair.scene.snapshot->start_ns;
        uint64_t from_ns = start_ns + random_life_below(&chance, 50 * SPAN_MS);
        /* Every name is reported in it: else what is inside of that is outermost in the part. */
        uint64_t to_ns = from_ns + (20 + random_life_below(&chance, 30)) * SPAN_MS;
        take_part(&pair, i == 0 ? start_ns + 11 * SPAN_MS : from_ns,
                  i == 0 ? start_ns + 30 * SPAN_MS : to_ns);
        compare_spans(&pair);
        const struct snapshot *part = pair.part_snapshot;
        for (uint64_t k = part->first_span; k < part->n_spans; k++) {
            const struct stored_span span = snapshot_span(part, k);
            assert_true(span.start_ns >= part->start_ns && span.end_ns <= part->now_ns);
            assert_true(span.origin_thread < part->n_threads ||
                        span.origin_thread == THREAD_ID_NONE);
        }
        if (i == 0) { /* the first kernel has its details still */
            const struct stored_span span = snapshot_span(part, 0);
            assert_int_equal(snapshot_span_details(part, span.details)->queue_id, 3);
        }
        drop_part(&pair);
        end_pair(&pair);
    }
}

static void an_empty_range_is_refused(void **state)
{
    (void)state;
    struct pair pair = {.everything = {0}};
    const struct aggregate_config config = {0};
    scene_begin(&pair.scene, false, false);
    struct random_life life = {.state = 3, .n_threads = 4, .sample_pct = 80, .has_switches = true};
    random_life_play(&life, pair.scene.aggregate, 100);
    scene_freeze(&pair.scene, life.now_ns);
    uint64_t now_ns = pair.scene.snapshot->now_ns;
    assert_int_equal(
        query_extract(&pair.scene.context, now_ns, now_ns, &config, &pair.part, &pair.scene.error),
        -EINVAL);
    assert_string_equal(pair.scene.error.code, "invalid_params");
    assert_null(pair.part);
    end_pair(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_answers_like_the_range),
        cmocka_unit_test(threads_of_other_times_are_left_out),
        cmocka_unit_test(samples_alone_are_taken_as_well),
        cmocka_unit_test(counters_are_those_of_the_range),
        cmocka_unit_test(spans_are_those_of_the_range),
        cmocka_unit_test(an_empty_range_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
