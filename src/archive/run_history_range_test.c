/* SPDX-License-Identifier: MIT */
/* Parts of runs by chance: what is answered about all of a part is what a view of the range
 * answers about the whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>

#include "archive/run_history_test.h"
#include "query/attribution.h"
#include "query/query_names.h"

/* Cumulative rounding gives single nanoseconds to one or the other, by the order of samples. */
#define ROUNDED_NS 2

struct asked {
    struct arena arena;
    struct view view;
    struct query_names *names;
    struct query_context context;
    struct attribution attribution;
    const struct wait_shares *waits;
};

static void ask(struct asked *asked, struct snapshot *snapshot, uint64_t from_ns, uint64_t to_ns)
{
    struct error error = {0};
    *asked = (struct asked){0};
    arena_init(&asked->arena, 0);
    if (from_ns != to_ns) {
        asked->view = (struct view){.has_from = true,
                                    .has_to = true,
                                    .from_ns = (int64_t)(from_ns - snapshot->start_ns),
                                    .to_ns = (int64_t)(to_ns - snapshot->start_ns)};
    }
    assert_int_equal(query_names_new(NULL, &asked->names), 0);
    asked->context = (struct query_context){
        .snapshot = snapshot, .names = asked->names, .view = &asked->view, .arena = &asked->arena};
    assert_int_equal(attribution_compute(&asked->context, &asked->attribution, &error), 0);
    assert_int_equal(attribution_waits(&asked->context, &asked->attribution, &asked->waits), 0);
}

static void forget(struct asked *asked)
{
    arena_release(&asked->arena);
    query_names_free(asked->names);
}

static void assert_near(uint64_t one, uint64_t other, uint64_t most)
{
    assert_true(one <= other + most && other <= one + most);
}

static void assert_same_wait_rows(const struct asked *one, const struct asked *other,
                                  uint64_t lag_ns)
{
    size_t n_rows[2] = {one->waits->n_rows, other->waits->n_rows};
    assert_int_equal(n_rows[0], n_rows[1]);
    for (size_t i = 0; i < n_rows[0]; i++) {
        const struct wait_share *a = &one->waits->rows[i];
        size_t k = 0;
        while (other->waits->rows[k].thread != a->thread ||
               other->waits->rows[k].stack != a->stack) {
            assert_true(++k < n_rows[1]);
        }
        const struct wait_share *b = &other->waits->rows[k];
        assert_near(a->blocked_ns, b->blocked_ns, ROUNDED_NS);
        assert_int_equal(a->n_waits, b->n_waits);
        assert_int_equal(a->n_open, b->n_open);
        assert_int_equal(a->flags, b->flags);
        assert_near(a->max_ns, b->max_ns, lag_ns);
    }
}

static void assert_same_answers(const struct asked *one, const struct asked *other)
{
    const struct snapshot *snapshot = one->context.snapshot;
    assert_int_equal(one->attribution.totals.cpu_ns, other->attribution.totals.cpu_ns);
    assert_int_equal(one->attribution.totals.off_cpu_ns, other->attribution.totals.off_cpu_ns);
    assert_int_equal(one->attribution.unsampled_ns, other->attribution.unsampled_ns);
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        const struct thread_share *a = &one->attribution.threads[i];
        const struct thread_share *b = &other->attribution.threads[i];
        assert_int_equal(a->cpu_ns, b->cpu_ns);
        assert_int_equal(a->blocked_ns, b->blocked_ns);
        assert_int_equal(a->runnable_ns, b->runnable_ns);
        assert_int_equal(a->n_samples, b->n_samples);
        assert_int_equal(a->n_voluntary, b->n_voluntary);
        assert_int_equal(a->n_involuntary, b->n_involuntary);
    }
    for (stack_id i = 0; i < snapshot->n_stacks; i++) {
        assert_int_equal(one->attribution.stack_samples[i], other->attribution.stack_samples[i]);
        assert_near(one->attribution.stack_ns[i], other->attribution.stack_ns[i],
                    ROUNDED_NS * snapshot->n_threads);
    }
}

/* A range within a part is that range of the whole; where threads have waited at its ends the lag
 * of switches can go to one side or the other. */
static void assert_same_within(struct snapshot *whole, struct snapshot *part)
{
    static struct asked of_whole, of_part;
    uint64_t third_ns = (part->now_ns - part->start_ns) / 3;
    uint64_t from_ns = part->start_ns + third_ns, to_ns = from_ns + third_ns;
    if (third_ns == 0) {
        return;
    }
    ask(&of_whole, whole, from_ns, to_ns);
    ask(&of_part, part, from_ns, to_ns);
    for (size_t i = 0; i < whole->n_threads; i++) {
        const struct thread_share *a = &of_whole.attribution.threads[i];
        const struct thread_share *b = &of_part.attribution.threads[i];
        assert_near(a->cpu_ns, b->cpu_ns, whole->switch_lag_ns);
        assert_near(a->blocked_ns, b->blocked_ns, 2 * whole->switch_lag_ns);
        assert_near(a->runnable_ns, b->runnable_ns, 2 * whole->switch_lag_ns);
        assert_int_equal(a->n_samples, b->n_samples);
    }
    forget(&of_whole);
    forget(&of_part);
}

static void assert_same_counters(const struct snapshot *whole, const struct snapshot *part)
{
    uint64_t sum = 0, n_readings = 0, part_sum = 0, n_part_readings = 0;
    for (uint64_t i = whole->first_reading; i < whole->n_readings; i++) {
        const struct stored_reading *reading = snapshot_reading(whole, i);
        bool is_inside = reading->time_ns >= part->start_ns && reading->time_ns < part->now_ns;
        sum += is_inside ? reading->values[0] * (1 + reading->stack) + reading->values[2] : 0;
        n_readings += is_inside;
    }
    for (size_t i = 0; i < part->n_counter_sums; i++) {
        const struct counter_sums *sums = &part->counter_sums[i];
        part_sum += sums->values[0] * (1 + sums->stack) + sums->values[2];
        n_part_readings += sums->n_readings;
    }
    assert_int_equal(n_part_readings, n_readings);
    assert_int_equal(part->n_readings, n_readings);
    assert_int_equal(part_sum, sum);
}

/* It can be written as any other, and nothing in it is out of its order. */
static void assert_can_be_saved(const struct history_folder *folder, struct snapshot *part)
{
    struct archive_reader *reader = history_save(folder, "part", part);
    const struct aggregate_config config = {0};
    struct run_history_damage damage;
    struct aggregate *read = NULL;
    struct error error = {0};
    assert_int_equal(run_history_read(reader, &config, &read, &damage, &error), 0);
    assert_int_equal(damage.n_losses + damage.n_rows_refused + damage.n_rows_mended, 0);
    struct snapshot *again = aggregate_snapshot(read, 0);
    assert_same_snapshot(part, again);
    snapshot_unref(again);
    aggregate_free(read);
    archive_reader_free(reader);
}

static void check_part(const struct history_folder *folder, struct snapshot *whole,
                       uint64_t from_ns, uint64_t to_ns)
{
    static struct asked of_whole, of_part;
    struct aggregate *aggregate = NULL;
    assert_int_equal(run_history_freeze(whole, from_ns, to_ns, &aggregate), 0);
    struct snapshot *part = aggregate_snapshot(aggregate, 0);
    assert_non_null(part);
    assert_int_equal(part->start_ns, from_ns);
    assert_int_equal(part->now_ns, to_ns);
    ask(&of_whole, whole, from_ns, to_ns);
    ask(&of_part, part, 0, 0);
    assert_same_answers(&of_whole, &of_part);
    assert_same_wait_rows(&of_whole, &of_part, whole->switch_lag_ns);
    forget(&of_whole);
    forget(&of_part);
    assert_same_within(whole, part);
    assert_same_counters(whole, part);
    assert_can_be_saved(folder, part);
    snapshot_unref(part);
    aggregate_free(aggregate);
}

static void check_parts(struct history_world *world, const struct history_folder *folder)
{
    struct snapshot *whole = aggregate_snapshot(world->aggregate, world->life.now_ns);
    assert_non_null(whole);
    uint64_t length_ns = whole->now_ns - whole->start_ns;
    for (int i = 0; i < 12; i++) {
        uint64_t from_ns = whole->start_ns + world_below(world, length_ns);
        uint64_t to_ns = from_ns + 1 + world_below(world, i % 2 == 0 ? 50 * TEST_MS : length_ns);
        check_part(folder, whole, from_ns, to_ns < whole->now_ns ? to_ns : whole->now_ns);
    }
    check_part(folder, whole, whole->start_ns, whole->now_ns);
    snapshot_unref(whole);
}

static void parts_answer_as_views_of_the_whole(void **state)
{
    (void)state;
    struct history_folder folder;
    history_folder_make(&folder);
    for (uint64_t seed = 1; seed <= 6; seed++) {
        const struct aggregate_config config = {.has_no_switches = seed == 6};
        struct history_world world = {
            .life = {.state = 100 + seed,
                     .n_threads = 3 + (unsigned int)seed,
                     .sample_pct = 40,
                     .has_switches = seed != 6,
                     .has_wakers = seed % 3 != 0},
            .has_lag = seed == 2 || seed == 5,
        };
        assert_int_equal(aggregate_new(&config, &world.aggregate), 0);
        world_play(&world, 1500);
        check_parts(&world, &folder);
        aggregate_end(world.aggregate, world.life.now_ns + 30 * TEST_MS);
        check_parts(&world, &folder);
        aggregate_free(world.aggregate);
    }
    history_folder_remove(&folder);
}

static void a_part_of_nothing_is_none(void **state)
{
    (void)state;
    const struct aggregate_config config = {0};
    struct aggregate *part = NULL;
    struct history_world world = {.life = {.state = 3, .n_threads = 4, .sample_pct = 40}};
    assert_int_equal(aggregate_new(&config, &world.aggregate), 0);
    world_play(&world, 10);
    struct snapshot *snapshot = aggregate_snapshot(world.aggregate, world.life.now_ns);
    uint64_t now_ns = snapshot->now_ns;
    assert_int_equal(run_history_freeze(snapshot, now_ns, now_ns + TEST_MS, &part), -EINVAL);
    assert_int_equal(run_history_freeze(snapshot, now_ns - 1, now_ns - 1, &part), -EINVAL);
    assert_int_equal(run_history_freeze(snapshot, 0, snapshot->start_ns, &part), -EINVAL);
    assert_null(part);
    snapshot_unref(snapshot);
    aggregate_free(world.aggregate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_answer_as_views_of_the_whole),
        cmocka_unit_test(a_part_of_nothing_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
