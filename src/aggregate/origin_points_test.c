/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/origin_points.h"

#define BOUND_NS UINT64_C(5000000)
#define MS UINT64_C(1000000)

static void add(struct origin_points *points, thread_id thread, uint64_t time_ns, stack_id stack)
{
    const struct origin_point point = {.time_ns = time_ns, .stack = stack};
    assert_int_equal(origin_points_add(points, thread, point), 0);
}

static void the_nearest_stack_is_found(void **state)
{
    (void)state;
    struct origin_points points;
    origin_points_init(&points, 1u << 20);
    struct origin_near near = origin_points_find(&points, 3, 5, BOUND_NS);
    assert_false(near.has_points);
    add(&points, 3, 10 * MS, 1);
    add(&points, 3, 12 * MS, 2);
    add(&points, 3, 13 * MS, STACK_ID_EMPTY);
    add(&points, 3, 30 * MS, 3);
    near = origin_points_find(&points, 3, 10 * MS, BOUND_NS);
    assert_true(near.has_stack);
    assert_int_equal(near.stack, 1);
    assert_int_equal(near.distance_ns, 0);
    near = origin_points_find(&points, 3, 11 * MS, BOUND_NS); /* as near: the earlier */
    assert_int_equal(near.stack, 1);
    near = origin_points_find(&points, 3, 11 * MS + 1, BOUND_NS);
    assert_int_equal(near.stack, 2);
    near = origin_points_find(&points, 3, 13 * MS, BOUND_NS); /* past what says nothing */
    assert_int_equal(near.stack, 2);
    assert_int_equal(near.distance_ns, MS);
    near = origin_points_find(&points, 3, 26 * MS, BOUND_NS);
    assert_int_equal(near.stack, 3);
    near = origin_points_find(&points, 3, 5 * MS, BOUND_NS);
    assert_int_equal(near.stack, 1);
    assert_int_equal(near.distance_ns, BOUND_NS);
    near = origin_points_find(&points, 3, 5 * MS - 1, BOUND_NS);
    assert_true(near.has_points);
    assert_false(near.has_stack);
    assert_int_equal(near.distance_ns, BOUND_NS + 1);
    near =
        origin_points_find(&points, 3, 18 * MS, BOUND_NS); /* something is near, without a stack */
    assert_false(near.has_stack);
    assert_int_equal(near.distance_ns, BOUND_NS);
    near = origin_points_find(&points, 2, 12 * MS, BOUND_NS);
    assert_false(near.has_points);
    origin_points_release(&points);
}

static void a_stack_may_be_told_later(void **state)
{
    (void)state;
    struct origin_points points;
    origin_points_init(&points, 1u << 20);
    origin_points_amend(&points, 0, (struct origin_point){.time_ns = 1, .stack = 1});
    add(&points, 0, 10 * MS, STACK_ID_EMPTY);
    origin_points_amend(&points, 0, (struct origin_point){.time_ns = 9 * MS, .stack = 8});
    assert_false(origin_points_find(&points, 0, 10 * MS, BOUND_NS).has_stack);
    origin_points_amend(&points, 0, (struct origin_point){.time_ns = 10 * MS, .stack = 9});
    assert_int_equal(origin_points_find(&points, 0, 10 * MS, BOUND_NS).stack, 9);
    origin_points_release(&points);
}

static void rows_without_a_stack_take_little(void **state)
{
    (void)state;
    struct origin_points points;
    origin_points_init(&points, 1u << 20);
    for (uint64_t i = 0; i < 100000; i++) {
        add(&points, 0, i * 1000, STACK_ID_EMPTY); /* 100 ms of them */
    }
    assert_in_range(points.n_chunks, 1, 3);
    for (uint64_t i = 0; i < 100; i++) {
        struct origin_near near = origin_points_find(&points, 0, i * MS + 500, BOUND_NS);
        assert_false(near.has_stack);
        assert_true(near.distance_ns <= ORIGIN_POINTS_NEAR_NS);
    }
    origin_points_release(&points);
}

static void a_time_that_runs_back_is_the_one_before(void **state)
{
    (void)state;
    struct origin_points points;
    origin_points_init(&points, 1u << 20);
    add(&points, 0, 10, 1);
    add(&points, 0, 5, 2);
    add(&points, 0, 20, 3);
    assert_int_equal(origin_points_find(&points, 0, 10, BOUND_NS).distance_ns, 0);
    assert_int_equal(origin_points_find(&points, 0, 21, BOUND_NS).stack, 3);
    origin_points_release(&points);
}

/* Against a look at every point; some of many threads. */
static void many_points_are_searched_rightly(void **state)
{
    (void)state;
    static struct origin_point all[3][2000];
    size_t counts[3] = {0};
    struct origin_points points;
    uint64_t chance = 1, time_ns = 0;
    origin_points_init(&points, 1u << 22);
    for (size_t i = 0; i < 5000; i++) {
        chance = chance * 6364136223846793005u + 1442695040888963407u;
        uint32_t thread = (uint32_t)(chance >> 40) % 3;
        time_ns += (chance >> 30) % (2 * MS);
        struct origin_point point = {.time_ns = time_ns,
                                     .stack = (chance >> 50) % 4 ? (stack_id)i + 1 : 0};
        add(&points, thread, point.time_ns, point.stack);
        if (counts[thread] < 2000) {
            all[thread][counts[thread]++] = point;
        }
    }
    for (size_t i = 0; i < 3000; i++) {
        chance = chance * 6364136223846793005u + 1442695040888963407u;
        uint32_t thread = (uint32_t)(chance >> 40) % 3;
        uint64_t wanted_ns = (chance >> 20) % time_ns, best_ns = UINT64_MAX;
        stack_id stack = 0;
        for (size_t k = 0; k < counts[thread]; k++) {
            uint64_t at_ns = all[thread][k].time_ns;
            uint64_t distance_ns = at_ns > wanted_ns ? at_ns - wanted_ns : wanted_ns - at_ns;
            if (all[thread][k].stack != 0 && distance_ns < best_ns) {
                best_ns = distance_ns;
                stack = all[thread][k].stack;
            }
        }
        struct origin_near near = origin_points_find(&points, thread, wanted_ns, BOUND_NS);
        assert_int_equal(near.has_stack, best_ns <= BOUND_NS);
        if (near.has_stack) {
            assert_int_equal(near.stack, stack);
            assert_int_equal(near.distance_ns, best_ns);
        }
    }
    origin_points_release(&points);
}

static void the_oldest_go_first(void **state)
{
    (void)state;
    struct origin_points points;
    origin_points_init(&points, 1u << 20);
    add(&points, 100, 1, 77); /* of a thread that sleeps */
    for (uint64_t i = 0; i < 1000000; i++) {
        add(&points, (thread_id)(i % 4), i * MS, (stack_id)(i + 1));
    }
    assert_true(origin_points_memory_bytes(&points) <= (1u << 20) + 16384);
    assert_true(points.n_dropped > 900000);
    assert_int_equal(origin_points_find(&points, 100, 1, BOUND_NS).stack, 77);
    assert_int_equal(origin_points_find(&points, 3, 999999 * MS, BOUND_NS).stack, 1000000);
    assert_false(origin_points_find(&points, 3, 3 * MS, BOUND_NS).has_stack);
    assert_true(origin_points_find(&points, 3, 3 * MS, BOUND_NS).has_points);
    origin_points_release(&points);
}

/* As many threads as there is room for chunks: each writes to the only one it has. */
static void more_threads_than_chunks_lose_what_they_have(void **state)
{
    (void)state;
    struct origin_points points;
    origin_points_init(&points, 0);
    for (uint64_t i = 0; i < 100000; i++) {
        add(&points, (thread_id)(i % 1000), i, (stack_id)(i + 1));
    }
    assert_true(points.n_chunks <= 64);
    assert_true(origin_points_find(&points, 5, 5, BOUND_NS).has_points);
    assert_int_equal(origin_points_find(&points, 999, 99999, BOUND_NS).stack, 100000);
    origin_points_release(&points);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearest_stack_is_found),
        cmocka_unit_test(a_stack_may_be_told_later),
        cmocka_unit_test(rows_without_a_stack_take_little),
        cmocka_unit_test(a_time_that_runs_back_is_the_one_before),
        cmocka_unit_test(many_points_are_searched_rightly),
        cmocka_unit_test(the_oldest_go_first),
        cmocka_unit_test(more_threads_than_chunks_lose_what_they_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
