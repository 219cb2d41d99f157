/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/stack_table.h"

static stack_id intern(struct stack_table *table, const frame_id *frames, size_t n_frames)
{
    stack_id id = UINT32_MAX;
    assert_int_equal(stack_table_intern(table, frames, n_frames, &id), 0);
    return id;
}

/* Follows a leaf up to the root and compares. */
static void assert_stack(const struct stack_table *table, stack_id id, const frame_id *frames,
                         size_t n_frames)
{
    for (size_t i = 0; i < n_frames; i++) {
        assert_int_not_equal(id, STACK_ID_EMPTY);
        struct stack_node node = stack_table_get(table, id);
        assert_int_equal(node.frame, frames[i]);
        assert_true(node.parent < id);
        id = node.parent;
    }
    assert_int_equal(id, STACK_ID_EMPTY);
}

static void callers_are_shared(void **state)
{
    (void)state;
    _cleanup_(stack_table_freep) struct stack_table *table = NULL;
    assert_int_equal(stack_table_new(&table), 0);
    assert_int_equal(stack_table_count(table), 1); /* the empty stack */
    assert_int_equal(intern(table, NULL, 0), STACK_ID_EMPTY);

    const frame_id left[] = {7, 5, 1}, right[] = {8, 5, 1}, caller[] = {5, 1}, root[] = {1};
    stack_id left_id = intern(table, left, 3);
    assert_int_equal(stack_table_count(table), 4);
    stack_id right_id = intern(table, right, 3);
    assert_int_equal(stack_table_count(table), 5);
    assert_int_not_equal(left_id, right_id);
    stack_id caller_id = intern(table, caller, 2);
    assert_int_equal(stack_table_count(table), 5);
    assert_int_equal(stack_table_get(table, left_id).parent, caller_id);
    assert_int_equal(stack_table_get(table, right_id).parent, caller_id);
    assert_int_equal(stack_table_get(table, caller_id).parent, intern(table, root, 1));
    assert_int_equal(intern(table, left, 3), left_id);
    assert_stack(table, left_id, left, 3);
    assert_stack(table, right_id, right, 3);

    /* Frame 0 is a frame like any other, and recursion repeats one. */
    const frame_id recursion[] = {0, 0, 0, 0};
    stack_id recursion_id = intern(table, recursion, 4);
    assert_stack(table, recursion_id, recursion, 4);
    assert_int_equal(intern(table, recursion, 3), stack_table_get(table, recursion_id).parent);
}

static void stacks_grow_at_their_inner_end(void **state)
{
    (void)state;
    _cleanup_(stack_table_freep) struct stack_table *table = NULL;
    assert_int_equal(stack_table_new(&table), 0);
    const frame_id whole[] = {9, 8, 5, 1}, caller[] = {5, 1}, inner[] = {9, 8};
    stack_id caller_id = intern(table, caller, 2), extended, same;
    assert_int_equal(stack_table_extend(table, caller_id, inner, 2, &extended), 0);
    assert_stack(table, extended, whole, 4);
    assert_int_equal(intern(table, whole, 4), extended);
    assert_int_equal(stack_table_extend(table, caller_id, NULL, 0, &same), 0);
    assert_int_equal(same, caller_id);
    assert_int_equal(stack_table_count(table), 5);
}

static void random_stacks_come_back(void **state)
{
    (void)state;
    _cleanup_(stack_table_freep) struct stack_table *table = NULL;
    assert_int_equal(stack_table_new(&table), 0);
    static frame_id stacks[5000][24];
    static size_t lengths[5000];
    static stack_id ids[5000];
    uint64_t seed = 3;
    for (size_t i = 0; i < 5000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        lengths[i] = (seed >> 40) % 25;
        for (size_t k = 0; k < lengths[i]; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            stacks[i][k] = (frame_id)((seed >> 40) % 4);
        }
        ids[i] = intern(table, stacks[i], lengths[i]);
    }
    uint32_t n_nodes = stack_table_count(table);
    assert_true(n_nodes > 10000);
    for (size_t i = 0; i < 5000; i++) {
        assert_stack(table, ids[i], stacks[i], lengths[i]);
        assert_int_equal(intern(table, stacks[i], lengths[i]), ids[i]);
    }
    assert_int_equal(stack_table_count(table), n_nodes);
    assert_true(stack_table_memory_bytes(table) >= n_nodes * sizeof(struct stack_node));
    assert_null(stack_table_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callers_are_shared),
        cmocka_unit_test(stacks_grow_at_their_inner_end),
        cmocka_unit_test(random_stacks_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
