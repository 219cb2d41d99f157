/* SPDX-License-Identifier: MIT */
#include "query/call_tree_test.h"

static struct flame_result ask(struct scene *scene, uint32_t max_depth, double threshold_pct)
{
    const struct query_flame_options options = {
        .max_depth = max_depth,
        .threshold_pct = threshold_pct,
        .invert = true,
    };
    struct flame_result result;
    assert_int_equal(query_flame(&scene->context, &options, &result, &scene->error), 0);
    assert_true(result.inverted);
    return result;
}

static const struct flame_node *child(const struct flame_node *node, size_t index, const char *name)
{
    assert_true(index < node->n_children);
    assert_string_equal(node->children[index].name, name);
    return &node->children[index];
}

static void assert_sums(const struct flame_node *node)
{
    uint64_t below_ns = 0, samples = 0;
    for (size_t i = 0; i < node->n_children; i++) {
        assert_sums(&node->children[i]);
        below_ns += node->children[i].active_ns;
        samples += node->children[i].samples;
        assert_true(i == 0 || node->children[i].active_ns <= node->children[i - 1].active_ns);
    }
    assert_int_equal(node->active_ns, node->self_active_ns + below_ns);
    assert_true(samples <= node->samples);
    assert_int_equal(node->hidden_nodes, 0);
}

static void what_ran_is_on_top_and_its_callers_below(void **state)
{
    struct flame_result result = ask(*state, 0, 0);
    const struct flame_node *root = &result.root;
    assert_int_equal(root->active_ns, result.totals.active_ns);
    assert_int_equal(root->n_children, 5);
    assert_sums(root);
    const struct flame_node *hash = child(root, 0, "hash_key");
    assert_int_equal(hash->active_ns, 400);
    assert_int_equal(hash->samples, 40);
    assert_int_equal(hash->n_children, 2);
    const struct flame_node *walk = child(hash, 0, "walk_tree");
    assert_int_equal(walk->active_ns, 300);
    assert_int_equal(child(walk, 0, "run_worker")->self_active_ns, 300);
    const struct flame_node *round = child(hash, 1, "round_of");
    assert_true(round->inlined);
    assert_int_equal(round->active_ns, 100);
    assert_int_equal(child(child(round, 0, "walk_tree"), 0, "run_worker")->self_active_ns, 100);
    const struct flame_node *mix = child(root, 2, "mix");
    assert_true(mix->inlined);
    assert_int_equal(mix->active_ns, 200);
    assert_int_equal(child(child(mix, 0, "round_of"), 0, "hash_key")->active_ns, 200);
    /* Recursion: each caller is a level. */
    const struct flame_node *again =
        child(child(child(root, 1, "walk_tree"), 0, "walk_tree"), 0, "walk_tree");
    assert_int_equal(again->self_active_ns, 300);
    assert_int_equal(again->n_children, 0);
}

static void what_is_cut_is_counted_where_it_was_cut(void **state)
{
    struct flame_result result = ask(*state, 1, 0);
    assert_int_equal(result.root.n_children, 5);
    assert_int_equal(child(&result.root, 0, "hash_key")->hidden_nodes, 2);
    assert_int_equal(child(&result.root, 0, "hash_key")->n_children, 0);
    assert_int_equal(child(&result.root, 1, "walk_tree")->hidden_nodes, 1);
    result = ask(*state, 0, 15);
    assert_int_equal(result.root.n_children, 3); /* mix has 20 %, round_of and visit_node 5 */
    assert_int_equal(result.root.hidden_nodes, 2);
    assert_int_equal(child(&result.root, 0, "hash_key")->n_children, 1);
    assert_int_equal(child(&result.root, 0, "hash_key")->hidden_nodes, 1);
    assert_int_equal(result.root.active_ns, 1000);
}

static void an_empty_view_is_an_empty_tree(void **state)
{
    struct scene *scene = *state;
    char *focus[] = {"nothing like this"};
    scene->view.n_focus = 1;
    scene->view.focus = focus;
    struct flame_result result = ask(scene, 0, 0);
    assert_int_equal(result.root.n_children, 0);
    assert_non_null(result.hint);
    scene->view = (struct view){0};
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin_inlined, end_inlined)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_ran_is_on_top_and_its_callers_below),
        CASE(what_is_cut_is_counted_where_it_was_cut),
        CASE(an_empty_view_is_an_empty_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
