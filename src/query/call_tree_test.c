/* SPDX-License-Identifier: MIT */
#include "query/call_tree_test.h"

#include "query/function_sums.h"

static const struct top_row *row(const struct top_result *top, const char *name, bool inlined)
{
    for (size_t i = 0; i < top->n_rows; i++) {
        if (strcmp(top->rows[i].name, name) == 0 && top->rows[i].inlined == inlined) {
            return &top->rows[i];
        }
    }
    fail_msg("no row %s", name);
    return NULL;
}

static struct top_result ask(struct scene *scene, enum top_group group)
{
    const struct query_top_options options = {.group = group};
    struct top_result result;
    assert_int_equal(query_top(&scene->context, &options, &result, &scene->error), 0);
    uint64_t self_ns = 0, self_samples = 0;
    for (size_t i = 0; i < result.n_rows; i++) {
        self_ns += result.rows[i].self_active_ns;
        self_samples += result.rows[i].self_samples;
        assert_true(result.rows[i].total_active_ns <= result.totals.active_ns);
    }
    assert_int_equal(self_ns, result.totals.active_ns);
    assert_int_equal(self_samples, result.totals.samples);
    return result;
}

static void self_goes_to_the_innermost_inlined_function(void **state)
{
    struct top_result top = ask(*state, TOP_GROUP_FUNCTION);
    assert_int_equal(row(&top, "mix", true)->self_samples, 20);
    assert_int_equal(row(&top, "mix", true)->total_samples, 20);
    assert_int_equal(row(&top, "round_of", true)->self_samples, 5);
    assert_int_equal(row(&top, "round_of", true)->total_samples, 35);
    assert_null(row(&top, "mix", true)->address);
    assert_int_equal(row(&top, "hash_key", false)->self_samples, 40);
    assert_int_equal(row(&top, "hash_key", false)->total_samples, 60);
    assert_int_equal(row(&top, "hash_key", false)->total_active_ns, 600);
    assert_non_null(row(&top, "hash_key", false)->address);
    assert_int_equal(row(&top, "walk_tree", false)->total_samples, 95); /* recursion once */
    assert_int_equal(row(&top, "run_worker", false)->total_samples, 70);
    assert_int_equal(top.functions, 6);
}

static void images_are_one_row_each(void **state)
{
    struct top_result top = ask(*state, TOP_GROUP_IMAGE);
    assert_int_equal(top.group, TOP_GROUP_IMAGE);
    assert_int_equal(top.n_rows, 1);
    assert_int_equal(top.rows[0].self_samples, 100);
    assert_int_equal(top.rows[0].total_samples, 100);
    assert_non_null(strstr(top.rows[0].name, "call_tree"));
    assert_int_equal(top.rows[0].file[0], '/');
    assert_non_null(strstr(top.rows[0].file, top.rows[0].name));
}

static void lines_are_counted_wherever_they_were_inlined(void **state)
{
    struct top_result top = ask(*state, TOP_GROUP_LINE);
    const struct top_row *line = row(&top, "lib/mix.h:7", false);
    assert_int_equal(line->self_samples, 20);
    assert_string_equal(line->file, "/src/lib/mix.h");
    assert_int_equal(line->line, 7);
    assert_int_equal(row(&top, "lib/mix.h:20", false)->self_samples, 5);
    assert_int_equal(row(&top, "lib/mix.h:20", false)->total_samples, 35);
    assert_int_equal(row(&top, "app/hash.c:30", false)->self_samples, 40);
    assert_int_equal(row(&top, "app/hash.c:30", false)->total_samples, 60);
    assert_int_equal(row(&top, "main.c:30", false)->self_samples, 30);
    assert_int_equal(row(&top, "main.c:30", false)->total_samples, 95);
    const struct top_row *none = row(&top, "visit_node (no line)", false);
    assert_int_equal(none->self_samples, 5);
    assert_int_equal(none->line, 0);
    assert_null(none->file);
}

static void flame_shows_them_between_caller_and_callee(void **state)
{
    struct scene *scene = *state;
    const struct query_flame_options options = {.max_depth = 0};
    struct flame_result flame;
    assert_int_equal(query_flame(&scene->context, &options, &flame, &scene->error), 0);
    const struct flame_node *worker = &flame.root.children[0];
    assert_string_equal(worker->name, "run_worker");
    const struct flame_node *walk = &worker->children[0];
    assert_string_equal(walk->name, "walk_tree");
    assert_int_equal(walk->samples, 65);
    assert_int_equal(walk->n_children, 2);
    const struct flame_node *hash = &walk->children[0];
    assert_string_equal(hash->name, "hash_key");
    assert_false(hash->inlined);
    assert_int_equal(hash->samples, 50);
    assert_int_equal(hash->self_active_ns, 300);
    assert_string_equal(hash->children[0].name, "round_of");
    assert_true(hash->children[0].inlined);
    assert_null(hash->children[0].address);
    assert_string_equal(hash->children[0].children[0].name, "mix");
    assert_int_equal(hash->children[0].children[0].self_active_ns, 200);
    const struct flame_node *round = &walk->children[1];
    assert_string_equal(round->name, "round_of");
    assert_true(round->inlined);
    assert_int_equal(round->samples, 15);
    assert_int_equal(round->self_active_ns, 50);
    assert_string_equal(round->children[0].name, "hash_key"); /* called from inlined code */
}

static void patterns_meet_inlined_functions(void **state)
{
    struct scene *scene = *state;
    char *focus[] = {"mix"};
    scene->view.n_focus = 1;
    scene->view.focus = focus;
    struct top_result top = ask(scene, TOP_GROUP_FUNCTION);
    assert_int_equal(top.totals.samples, 20);
    char *exclude[] = {"round_of"};
    scene->view = (struct view){.n_exclude = 1, .exclude = exclude};
    top = ask(scene, TOP_GROUP_FUNCTION);
    assert_int_equal(top.totals.samples, 65);
    assert_int_equal(row(&top, "hash_key", false)->total_samples, 30);
    scene->view = (struct view){0};
}

static void nodes_come_before_what_lies_below_them(void **state)
{
    struct scene *scene = *state;
    struct attribution attribution;
    struct call_tree tree;
    assert_int_equal(attribution_compute(&scene->context, &attribution, &scene->error), 0);
    assert_int_equal(call_tree_build(&scene->context, &attribution, CALL_TREE_BY_FUNCTION, &tree),
                     0);
    uint64_t self_ns = 0;
    for (uint32_t i = 0; i < tree.n_nodes; i++) {
        const struct call_node *node = &tree.nodes[i];
        uint64_t below_ns = 0;
        uint32_t below = 0;
        assert_true(i == CALL_TREE_ROOT ? node->parent == CALL_TREE_NONE : node->parent < i);
        for (uint32_t child = node->first_child; child != CALL_TREE_NONE;
             child = tree.nodes[child].next_sibling) {
            assert_int_equal(tree.nodes[child].parent, i);
            below_ns += tree.nodes[child].subtree_ns;
            below += tree.nodes[child].subtree_nodes;
        }
        assert_int_equal(node->subtree_ns, below_ns + call_tree_self_ns(&tree, node));
        assert_int_equal(node->subtree_nodes, below + (i != CALL_TREE_ROOT));
        self_ns += call_tree_self_ns(&tree, node);
    }
    assert_int_equal(self_ns, attribution.totals.active_ns);
    struct function_sums *sums;
    assert_int_equal(function_sums_compute(&tree, &scene->arena, &sums), 0);
    for (uint32_t i = 0; i < tree.n_functions; i++) {
        assert_int_equal(sums[i].function, i);
        assert_int_equal(sums[i].n_on_path, 0);
        assert_true(sums[i].self_ns <= sums[i].total_ns);
    }
}

static void inlined_functions_come_when_they_are_known(void **state)
{
    (void)state;
    struct scene scene;
    are_lines_loaded = false;
    scene_begin(&scene, true, false);
    tell_inlined(&scene);
    struct top_result top = ask(&scene, TOP_GROUP_FUNCTION);
    assert_int_equal(top.functions, 4);
    assert_int_equal(row(&top, "hash_key", false)->self_samples, 60);
    are_lines_loaded = true;
    top = ask(&scene, TOP_GROUP_FUNCTION);
    assert_int_equal(row(&top, "mix", true)->self_samples, 20);
    are_lines_loaded = false; /* what is settled stays */
    top = ask(&scene, TOP_GROUP_FUNCTION);
    assert_int_equal(row(&top, "mix", true)->self_samples, 20);
    scene_end(&scene);
}

static void a_view_without_samples_has_only_the_root(void **state)
{
    struct scene *scene = *state;
    char *focus[] = {"no such function"};
    scene->view.n_focus = 1;
    scene->view.focus = focus;
    for (int group = TOP_GROUP_FUNCTION; group <= TOP_GROUP_LINE; group++) {
        struct top_result top = ask(scene, (enum top_group)group);
        assert_int_equal(top.n_rows, 0);
        assert_non_null(top.hint);
    }
    scene->view = (struct view){0};
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin_inlined, end_inlined)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(self_goes_to_the_innermost_inlined_function),
        CASE(images_are_one_row_each),
        CASE(lines_are_counted_wherever_they_were_inlined),
        CASE(flame_shows_them_between_caller_and_callee),
        CASE(patterns_meet_inlined_functions),
        CASE(nodes_come_before_what_lies_below_them),
        CASE(a_view_without_samples_has_only_the_root),
        cmocka_unit_test(inlined_functions_come_when_they_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
