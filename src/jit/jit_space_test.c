/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "jit/jit_space.h"

#define S NS_PER_S

/* Numbers stand for functions. */
static void add(struct jit_space *space, uint64_t from_ns, uint64_t to_ns, uint64_t number,
                bool is_time_exact)
{
    struct jit_index extended;
    const struct jit_range range = {
        .start_ip = 0x1000,
        .end_ip = 0x2000,
        .from_ns = from_ns,
        .to_ns = to_ns,
        .order = number,
        .is_time_exact = is_time_exact,
        .is_named = true,
    };
    assert_int_equal(jit_space_add(space, &range), 0);
    assert_int_equal(jit_index_extend(&space->index, space->added, space->n_added, &extended), 0);
    jit_index_replace(&space->index, &extended);
    space->n_added = 0;
}

static uint64_t number_in(const struct jit_space *space, uint64_t from_ns, uint64_t to_ns)
{
    const struct jit_moment moment = {from_ns, from_ns + (to_ns - from_ns) / 2, to_ns};
    struct jit_range range;
    bool has_more = false;
    return jit_space_find(space, 0x1800, &moment, &range, &has_more) ? range.order : 0;
}

static uint64_t number_at(const struct jit_space *space, uint64_t at_ns)
{
    return number_in(space, at_ns, at_ns);
}

/* Exact times are believed: a name neither outlives its code nor comes long before it. */
static void test_exact_times(void **state)
{
    (void)state;
    _cleanup_(jit_space_releasep) struct jit_space space;
    jit_space_init(&space, 1);
    add(&space, 10 * S, 20 * S, 1, true);
    assert_int_equal(number_at(&space, 9 * S), 0);
    assert_int_equal(number_at(&space, 10 * S - JIT_SPACE_SLACK_NS), 1);
    assert_int_equal(number_at(&space, 15 * S), 1);
    assert_int_equal(number_at(&space, 20 * S + JIT_SPACE_SLACK_NS), 1);
    assert_int_equal(number_at(&space, 21 * S), 0);
    /* A frame that was seen over a stretch of time may have been seen in its time. */
    assert_int_equal(number_in(&space, 2 * S, 11 * S), 1);
    assert_int_equal(number_in(&space, 19 * S, 40 * S), 1);
}

/* What was read late may have been there for long. */
static void test_times_of_maps(void **state)
{
    (void)state;
    _cleanup_(jit_space_releasep) struct jit_space space;
    jit_space_init(&space, 1);
    add(&space, 10 * S, UINT64_MAX, 1, false);
    assert_int_equal(number_at(&space, S), 1);
    assert_int_equal(number_at(&space, 1000 * S), 1);
}

static void test_cuts(void **state)
{
    (void)state;
    _cleanup_(jit_space_releasep) struct jit_space space;
    jit_space_init(&space, 1);
    assert_int_equal(jit_space_last_cut_ns(&space), 0);
    add(&space, S, UINT64_MAX, 1, true);
    add(&space, S, UINT64_MAX, 2, false);
    jit_space_cut(&space, 5 * S);
    jit_space_cut(&space, 4 * S); /* told late: not later than the last */
    assert_int_equal(space.n_cuts, 1);
    assert_int_equal(number_at(&space, 4 * S), 2);
    assert_int_equal(number_at(&space, 5 * S), 0);
    assert_int_equal(number_at(&space, 100 * S), 0);
    add(&space, 6 * S, UINT64_MAX, 3, true);
    assert_int_equal(number_at(&space, 7 * S), 3);
    assert_int_equal(number_at(&space, 4 * S), 2); /* and the next program's not before the cut */
    const struct jit_moment moment = {2 * S, 2 * S, 2 * S};
    struct jit_range range;
    bool has_more = false;
    assert_true(jit_space_find(&space, 0x1000, &moment, &range, &has_more));
    assert_int_equal(range.to_ns, 5 * S);
    for (uint64_t i = 0; i < 2 * JIT_SPACE_MAX_CUTS; i++) {
        jit_space_cut(&space, (10 + i) * S);
    }
    assert_int_equal(space.n_cuts, JIT_SPACE_MAX_CUTS);
    assert_int_equal(number_at(&space, 100 * S), 0);
}

static void test_what_a_child_begins_with(void **state)
{
    (void)state;
    _cleanup_(jit_space_releasep) struct jit_space parent;
    _cleanup_(jit_space_releasep) struct jit_space child;
    jit_space_init(&parent, 1);
    jit_space_init(&child, 2);
    add(&parent, S, 5 * S, 1, true);
    add(&parent, 6 * S, UINT64_MAX, 2, true);
    child.parent = &parent;
    child.fork_ns = 3 * S;
    assert_int_equal(number_at(&child, 4 * S), 1);
    assert_int_equal(number_at(&child, 100 * S), 1); /* its copy stays */
    jit_space_cut(&child, 50 * S);
    assert_int_equal(number_at(&child, 49 * S), 1);
    assert_int_equal(number_at(&child, 51 * S), 0);
}

/* More code than is looked at: the newest is found, and it is said. */
static void test_a_crowd(void **state)
{
    (void)state;
    _cleanup_(jit_space_releasep) struct jit_space space;
    jit_space_init(&space, 1);
    for (uint64_t i = 1; i <= JIT_SPACE_MAX_VISITS + 10; i++) {
        const struct jit_range range = {
            .start_ip = 0x1000, .end_ip = 0x2000, .from_ns = i, .to_ns = UINT64_MAX, .order = i};
        assert_int_equal(jit_space_add(&space, &range), 0);
    }
    struct jit_index extended;
    struct jit_range range;
    bool has_more = false;
    assert_int_equal(jit_index_extend(&space.index, space.added, space.n_added, &extended), 0);
    jit_index_replace(&space.index, &extended);
    const struct jit_moment moment = {S, S, S};
    assert_true(jit_space_find(&space, 0x1000, &moment, &range, &has_more));
    assert_int_equal(range.order, JIT_SPACE_MAX_VISITS + 10);
    assert_true(has_more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_times), cmocka_unit_test(test_times_of_maps),
        cmocka_unit_test(test_cuts),        cmocka_unit_test(test_what_a_child_begins_with),
        cmocka_unit_test(test_a_crowd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
