/* SPDX-License-Identifier: MIT */
#include "query/call_tree_test.h"

#include <errno.h>

static struct neighbors_result ask(struct scene *scene, const char *function)
{
    const struct query_neighbors_options options = {.function = function};
    struct neighbors_result result;
    assert_int_equal(query_neighbors(&scene->context, &options, &result, &scene->error), 0);
    uint64_t callers_ns = 0, callees_ns = 0, callers = 0, callees = 0;
    for (size_t i = 0; i < result.n_callers; i++) {
        callers_ns += result.callers[i].active_ns;
        callers += result.callers[i].samples;
        assert_true(i == 0 || result.callers[i].active_ns <= result.callers[i - 1].active_ns);
    }
    for (size_t i = 0; i < result.n_callees; i++) {
        callees_ns += result.callees[i].active_ns;
        callees += result.callees[i].samples;
        assert_true(i == 0 || result.callees[i].active_ns <= result.callees[i - 1].active_ns);
    }
    assert_int_equal(callers_ns, result.function.total_active_ns);
    assert_int_equal(callers, result.function.total_samples);
    assert_int_equal(callees_ns + result.function.self_active_ns, result.function.total_active_ns);
    assert_int_equal(callees + result.function.self_samples, result.function.total_samples);
    assert_int_equal(result.n_callers, result.all_callers);
    assert_int_equal(result.n_callees, result.all_callees);
    return result;
}

static void callers_and_callees_sum_to_the_function(void **state)
{
    struct neighbors_result hash = ask(*state, "hash_key");
    assert_null(hash.choice);
    assert_int_equal(hash.function.total_samples, 60);
    assert_int_equal(hash.function.self_samples, 40);
    assert_int_equal(hash.n_callers, 2);
    assert_string_equal(hash.callers[0].name, "walk_tree");
    assert_int_equal(hash.callers[0].samples, 50);
    assert_false(hash.callers[0].inlined);
    assert_string_equal(hash.callers[1].name, "round_of");
    assert_true(hash.callers[1].inlined);
    assert_int_equal(hash.callers[1].active_ns, 100);
    assert_int_equal(hash.n_callees, 1);
    assert_string_equal(hash.callees[0].name, "round_of");
    assert_int_equal(hash.callees[0].samples, 20);
    assert_true(hash.callees[0].share_pct > 33.3 && hash.callees[0].share_pct < 33.4);
}

static void recursion_counts_once_per_stack(void **state)
{
    struct neighbors_result walk = ask(*state, "walk_tree");
    assert_int_equal(walk.function.total_samples, 95);
    assert_int_equal(walk.function.self_samples, 30);
    assert_int_equal(walk.n_callers, 2);
    assert_string_equal(walk.callers[0].name, "run_worker");
    assert_int_equal(walk.callers[0].samples, 65);
    assert_string_equal(walk.callers[1].name, "(no caller)");
    assert_int_equal(walk.callers[1].samples, 30);
    assert_null(walk.callers[1].address);
    assert_int_equal(walk.n_callees, 2); /* hash_key and round_of, not itself */
    assert_string_equal(walk.callees[0].name, "hash_key");
    assert_int_equal(walk.callees[0].samples, 50);
    assert_string_equal(walk.callees[1].name, "round_of");
}

static void inlined_functions_have_neighbours(void **state)
{
    struct neighbors_result round = ask(*state, "ROUND");
    assert_non_null(strstr(round.choice, "round_of"));
    assert_true(round.function.inlined);
    assert_null(round.function.address);
    assert_int_equal(round.function.total_samples, 35);
    assert_int_equal(round.n_callers, 2);
    assert_string_equal(round.callers[0].name, "hash_key");
    assert_string_equal(round.callers[1].name, "walk_tree");
    assert_string_equal(round.callees[0].name, "mix");
    assert_int_equal(round.callees[0].samples, 20);
    assert_int_equal(round.callees[1].samples, 10);
}

static void a_function_is_meant_by_its_address(void **state)
{
    struct scene *scene = *state;
    struct neighbors_result hash = ask(scene, "hash_key");
    char address[40];
    snprintf(address, sizeof(address), "0x%llx", strtoull(hash.function.address, NULL, 16) + 3);
    struct neighbors_result same = ask(scene, address);
    assert_string_equal(same.function.name, "hash_key");
    assert_int_equal(same.function.total_samples, 60);
}

static void the_limit_cuts_rows_and_not_sums(void **state)
{
    struct scene *scene = *state;
    const struct query_neighbors_options options = {.function = "hash_key", .limit = 1};
    struct neighbors_result result;
    assert_int_equal(query_neighbors(&scene->context, &options, &result, &scene->error), 0);
    assert_int_equal(result.n_callers, 1);
    assert_int_equal(result.all_callers, 2);
    assert_int_equal(result.function.total_samples, 60);
}

static void what_is_not_there_is_refused(void **state)
{
    struct scene *scene = *state;
    struct query_neighbors_options options = {.function = "no_such_function_at_all"};
    struct neighbors_result result;
    assert_int_equal(query_neighbors(&scene->context, &options, &result, &scene->error), -ENOENT);
    assert_string_equal(scene->error.code, "no_such_function");
    assert_non_null(strstr(scene->error.hint, "hash_key"));
    char *focus[] = {"nothing like this"};
    scene->view.n_focus = 1;
    scene->view.focus = focus;
    options.function = "hash_key";
    assert_int_equal(query_neighbors(&scene->context, &options, &result, &scene->error), -ENOENT);
    scene->view = (struct view){0};
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin_inlined, end_inlined)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(callers_and_callees_sum_to_the_function), CASE(recursion_counts_once_per_stack),
        CASE(inlined_functions_have_neighbours),       CASE(a_function_is_meant_by_its_address),
        CASE(the_limit_cuts_rows_and_not_sums),        CASE(what_is_not_there_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
