/* SPDX-License-Identifier: MIT */
#include "query/span_tree.h"

#include <string.h>

#include "base/time_sum.h"
#include "query/lane_test.h"

static struct span_tree build(struct scene *scene)
{
    struct attribution attribution;
    struct span_tree tree;
    assert_int_equal(attribution_compute(&scene->context, &attribution, &scene->error), 0);
    assert_int_equal(span_tree_build(&scene->context, &attribution.spans, &tree), 0);
    assert_int_equal(tree.weight_ns, attribution.totals.target_ns);
    assert_int_equal(tree.n_spans, attribution.totals.spans);
    return tree;
}

static const struct span_node *find(const struct span_tree *tree, uint32_t lane, uint32_t name)
{
    for (uint32_t i = 0; i < tree->n_nodes; i++) {
        if (tree->nodes[i].lane == lane && tree->nodes[i].name == name) {
            return &tree->nodes[i];
        }
    }
    fail_msg("there is no name %u on lane %u", name, lane);
    return NULL;
}

static void assert_adds_up(const struct span_tree *tree)
{
    for (uint32_t i = 0; i < tree->n_nodes; i++) {
        uint64_t sum_ns = tree->nodes[i].self_ns, n_nodes = 1;
        for (uint32_t k = tree->nodes[i].first_child; k != SPAN_TREE_NONE;
             k = tree->nodes[k].next_sibling) {
            assert_int_equal(tree->nodes[k].parent, i);
            sum_ns += tree->nodes[k].weight_ns;
            n_nodes += tree->nodes[k].subtree_nodes;
        }
        assert_int_equal(sum_ns, tree->nodes[i].weight_ns);
        assert_int_equal(n_nodes, tree->nodes[i].subtree_nodes);
    }
}

static void assert_node(const struct span_tree *tree, uint32_t lane, uint32_t name,
                        uint64_t weight_ns, uint64_t self_ns, uint64_t n_spans)
{
    const struct span_node *node = find(tree, lane, name);
    assert_int_equal(node->weight_ns, weight_ns);
    assert_int_equal(node->self_ns, self_ns);
    assert_int_equal(node->n_spans, n_spans);
}

static void inner_spans_are_part_of_outer_ones(void **state)
{
    (void)state;
    struct scene scene;
    lane_test_begin(&scene);
    struct span_tree tree = build(&scene);
    assert_int_equal(tree.n_nodes, 6);
    assert_adds_up(&tree);
    assert_node(&tree, LANE_GPU, 0, 350, 0, 2);
    assert_node(&tree, LANE_GPU, SPAN_KERNEL, 350, 350, 2);
    assert_node(&tree, LANE_DECODER, 0, 900, 0, 4);
    assert_node(&tree, LANE_DECODER, SPAN_FRAME, 900, 500, 2);
    assert_node(&tree, LANE_DECODER, SPAN_DECODE, 300, 300, 1);
    assert_node(&tree, LANE_DECODER, SPAN_FILTER, 100, 100, 1);
    const struct span_node *lane = find(&tree, LANE_GPU, 0);
    assert_string_equal(span_tree_name(&scene.context, lane), "GPU 0");
    assert_string_equal(span_tree_image(&scene.context, lane, false), "[gpu lane]");
    const struct span_node *decode = find(&tree, LANE_DECODER, SPAN_DECODE);
    assert_string_equal(span_tree_name(&scene.context, decode), "decode");
    assert_string_equal(span_tree_image(&scene.context, decode, tree.tells_pids), "[decoder]");
    assert_ptr_equal(&tree.nodes[decode->parent], find(&tree, LANE_DECODER, SPAN_FRAME));
    scene_end(&scene);
}

static void patterns_look_at_all_names_of_a_path(void **state)
{
    (void)state;
    struct scene scene;
    char in_names[] = "decode", exactly[] = "/^decode$/", outer[] = "frame", *patterns[1];
    lane_test_begin(&scene);
    scene.view = (struct view){.n_focus = 1, .focus = patterns};
    patterns[0] = in_names; /* the lane has it in its name, too */
    struct span_tree tree = build(&scene);
    assert_adds_up(&tree);
    assert_int_equal(tree.weight_ns, 900);

    patterns[0] = exactly; /* the span alone: its outer one only holds it */
    tree = build(&scene);
    assert_adds_up(&tree);
    assert_int_equal(tree.n_nodes, 3);
    assert_node(&tree, LANE_DECODER, 0, 300, 0, 1);
    assert_node(&tree, LANE_DECODER, SPAN_FRAME, 300, 0, 0);
    assert_false(find(&tree, LANE_DECODER, SPAN_FRAME)->is_shown);
    assert_node(&tree, LANE_DECODER, SPAN_DECODE, 300, 300, 1);

    scene.view = (struct view){.n_exclude = 1, .exclude = patterns};
    tree = build(&scene);
    assert_adds_up(&tree);
    assert_int_equal(tree.weight_ns, 1250); /* it was part of the frame */
    assert_node(&tree, LANE_DECODER, SPAN_FRAME, 900, 800, 2);

    patterns[0] = outer;
    tree = build(&scene);
    assert_adds_up(&tree);
    assert_int_equal(tree.weight_ns, 350);
    assert_int_equal(tree.n_spans, 2);
    scene_end(&scene);
}

static void ranges_cut_spans(void **state)
{
    (void)state;
    struct scene scene;
    lane_test_begin(&scene);
    scene.view = (struct view){.has_from = true, .has_to = true, .from_ns = 200, .to_ns = 450};
    struct span_tree tree = build(&scene);
    assert_adds_up(&tree);
    assert_node(&tree, LANE_GPU, SPAN_KERNEL, 100 + 150, 250, 2);
    assert_node(&tree, LANE_DECODER, SPAN_FRAME, 250, 0, 1);
    assert_node(&tree, LANE_DECODER, SPAN_DECODE, 200, 200, 1);
    assert_node(&tree, LANE_DECODER, SPAN_FILTER, 50, 50, 1);
    scene_end(&scene);
}

/* On a lane that does several things at once inner spans can be longer than the outer one. */
static void inner_spans_that_overlap_share_the_outer_one(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    lane_test_tell_lane(scene.aggregate, 0, LANE_KIND_EXECUTOR, "pool");
    lane_test_tell_name(scene.aggregate, 1, 0, "batch");
    lane_test_tell_name(scene.aggregate, 2, 1, "task a");
    lane_test_tell_name(scene.aggregate, 3, 1, "task b");
    lane_test_tell_name(scene.aggregate, 4, 0, "never told");
    lane_test_tell_name(scene.aggregate, 5, 4, "orphan");
    lane_test_tell_span(scene.aggregate, 0, 1, 0, 101, 0, NULL);
    lane_test_tell_span(scene.aggregate, 0, 2, 0, 100, 0, NULL);
    lane_test_tell_span(scene.aggregate, 0, 2, 0, 100, 0, NULL);
    lane_test_tell_span(scene.aggregate, 0, 3, 0, 100, 0, NULL);
    lane_test_tell_span(scene.aggregate, 0, 5, 200, 300, 0, NULL);
    scene_freeze(&scene, LANE_TEST_NS + 1000);
    struct span_tree tree = build(&scene);
    assert_adds_up(&tree);
    assert_int_equal(tree.weight_ns, 201);
    assert_int_equal(tree.n_spans, 5);
    assert_int_equal(find(&tree, 0, 1)->self_ns, 0);
    uint64_t a_ns = find(&tree, 0, 2)->weight_ns, b_ns = find(&tree, 0, 3)->weight_ns;
    assert_int_equal(a_ns + b_ns, 101);
    assert_in_range(a_ns, 67, 68);
    assert_int_equal(find(&tree, 0, 2)->total_ns, 200); /* as it was reported */
    /* Its outer one began before the recording, or has not ended. */
    assert_node(&tree, 0, 5, 100, 100, 1);
    assert_node(&tree, 0, 4, 100, 0, 0);
    assert_false(find(&tree, 0, 4)->is_shown);
    scene_end(&scene);
}

static void lanes_of_several_processes_are_told_apart(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    lane_test_tell(scene.aggregate);
    tell(scene.aggregate,
         (struct event){.kind = EVENT_LANE,
                        .time_ns = LANE_TEST_NS,
                        .pid = 200,
                        .lane = {.lane = 2, .kind = LANE_KIND_GPU, .name = "GPU 0"}});
    lane_test_tell_span(scene.aggregate, 2, SPAN_KERNEL, 0, 10, 0, NULL);
    scene_freeze(&scene, LANE_TEST_NS + 1000);
    struct span_tree tree = build(&scene);
    assert_adds_up(&tree);
    assert_true(tree.tells_pids);
    assert_string_equal(span_tree_image(&scene.context, find(&tree, 2, 0), tree.tells_pids),
                        "[gpu lane, pid 200]");
    assert_string_equal(
        span_tree_image(&scene.context, find(&tree, LANE_GPU, SPAN_KERNEL), tree.tells_pids),
        "[GPU 0, pid 100]");
    scene_end(&scene);
}

/* Of more pairs of lanes and names than are kept the others have no name. */
static void spans_without_a_name_are_a_lanes_own(void **state)
{
    (void)state;
    struct scene scene;
    lane_test_begin(&scene);
    struct span_figure rows[] = {
        {.lane = LANE_GPU, .name = 0, .is_outermost = true, .total_ns = 10, .n_spans = 3},
        {.lane = LANE_GPU, .name = SPAN_KERNEL, .is_outermost = true, .total_ns = 7, .n_spans = 2},
        {.lane = LANE_DECODER, .name = 0, .is_outermost = true, .total_ns = 5, .n_spans = 1},
    };
    const struct span_figures figures = {.n_rows = 3, .rows = rows};
    struct span_tree tree;
    assert_int_equal(span_tree_build(&scene.context, &figures, &tree), 0);
    assert_adds_up(&tree);
    assert_int_equal(tree.n_nodes, 3);
    assert_int_equal(tree.weight_ns, 22);
    assert_int_equal(tree.n_spans, 6);
    assert_node(&tree, LANE_GPU, 0, 17, 10, 5);
    assert_int_equal(find(&tree, LANE_GPU, 0)->n_others, 3);
    assert_node(&tree, LANE_DECODER, 0, 5, 5, 1);
    scene_end(&scene);
}

/* ---- by chance ---- */

#define CHANCE_LANES 4
#define CHANCE_NAMES 12
#define CHANCE_END_NS 100000

/* Names inside of names, spans that lie anywhere, whatever is outside of them. */
static void tell_by_chance(struct scene *scene, struct random_life *life)
{
    char name[] = "name a";
    for (uint32_t i = 0; i < CHANCE_LANES; i++) {
        lane_test_tell_lane(scene->aggregate, i, LANE_KIND_GENERIC, i % 2 ? "odd" : "even");
    }
    for (uint32_t i = 1; i <= CHANCE_NAMES; i++) {
        name[5] = (char)('a' + i);
        lane_test_tell_name(scene->aggregate, i, (uint32_t)random_life_below(life, i), name);
    }
    for (int i = 0; i < 300; i++) {
        uint64_t start_ns = random_life_below(life, CHANCE_END_NS);
        uint64_t end_ns = start_ns + random_life_below(life, CHANCE_END_NS - start_ns);
        lane_test_tell_span(scene->aggregate, (uint32_t)random_life_below(life, CHANCE_LANES),
                            (uint32_t)random_life_below(life, CHANCE_NAMES + 1), start_ns, end_ns,
                            random_life_below(life, 3) * start_ns, NULL);
    }
}

static void choose_by_chance(struct scene *scene, struct random_life *life, char **pattern,
                             int64_t *tids)
{
    static char *const patterns[] = {"name b", "name e", "/name [c-g]/", "odd", "even", "name"};
    scene_ask_anew(scene);
    *pattern = patterns[random_life_below(life, 6)];
    switch (random_life_below(life, 4)) {
    case 0:
        scene->view.n_exclude = 1;
        scene->view.exclude = pattern;
        break;
    case 1:
        scene->view.n_focus = 1;
        scene->view.focus = pattern;
        break;
    case 2:
        tids[0] = LANE_TID_FIRST + (int64_t)random_life_below(life, CHANCE_LANES);
        tids[1] = LANE_TID_FIRST + (int64_t)random_life_below(life, CHANCE_LANES);
        scene->view.n_tids = 2;
        scene->view.tids = tids;
        break;
    default:
        break;
    }
}

static uint64_t range_ns(struct scene *scene, uint64_t from_ns, uint64_t to_ns)
{
    scene->view.has_from = scene->view.has_to = true;
    scene->view.from_ns = (int64_t)from_ns;
    scene->view.to_ns = (int64_t)to_ns;
    struct span_tree tree = build(scene);
    assert_adds_up(&tree);
    return tree.weight_ns;
}

static void sums_are_exact_whatever_is_asked(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct scene scene;
        struct random_life life = {.state = seed};
        scene_begin(&scene, false, false);
        tell_by_chance(&scene, &life);
        scene_freeze(&scene, LANE_TEST_NS + CHANCE_END_NS);
        for (int i = 0; i < 20; i++) {
            char *pattern;
            int64_t tids[2];
            choose_by_chance(&scene, &life, &pattern, tids);
            struct span_tree tree = build(&scene);
            assert_adds_up(&tree);
            const struct query_top_options by_self = {.sort = TOP_SORT_SELF};
            struct top_result top;
            assert_int_equal(query_top(&scene.context, &by_self, &top, &scene.error), 0);
            uint64_t self_ns = 0, n_spans = 0;
            for (size_t k = 0; k < top.n_rows; k++) {
                self_ns += top.rows[k].self_active_ns;
                n_spans += top.rows[k].spans;
            }
            assert_int_equal(self_ns, tree.weight_ns);
            assert_int_equal(n_spans, tree.n_spans);

            uint64_t first_ns = random_life_below(&life, CHANCE_END_NS - 2) + 1;
            uint64_t second_ns =
                first_ns + 1 + random_life_below(&life, CHANCE_END_NS - first_ns - 1);
            uint64_t parts_ns = range_ns(&scene, 0, first_ns) +
                                range_ns(&scene, first_ns, second_ns) +
                                range_ns(&scene, second_ns, CHANCE_END_NS);
            /* Spans of chance lie outside of what their names say they are inside of: there they
             * count for themselves in a range that has none of it. */
            assert_true(parts_ns >= tree.weight_ns);
        }
        scene_end(&scene);
    }
}

/* Sums that ended at their limit are still shared out whole. */
static void sums_at_their_limit_add_up(void **state)
{
    (void)state;
    struct scene scene;
    lane_test_begin(&scene);
    struct span_figure rows[] = {
        {.name = SPAN_KERNEL, .is_outermost = true, .total_ns = TIME_SUM_MAX_NS},
        {.lane = LANE_DECODER,
         .name = SPAN_FRAME,
         .is_outermost = true,
         .total_ns = TIME_SUM_MAX_NS},
        {.lane = LANE_DECODER, .name = SPAN_DECODE, .total_ns = TIME_SUM_MAX_NS},
        {.lane = LANE_DECODER, .name = SPAN_FILTER, .total_ns = TIME_SUM_MAX_NS},
    };
    const struct span_figures figures = {.n_rows = 4, .rows = rows};
    struct span_tree tree;
    assert_int_equal(span_tree_build(&scene.context, &figures, &tree), 0);
    assert_true(tree.weight_ns == TIME_SUM_MAX_NS);
    assert_true(find(&tree, LANE_DECODER, 0)->weight_ns == TIME_SUM_MAX_NS);
    assert_true(find(&tree, LANE_DECODER, SPAN_FRAME)->weight_ns == TIME_SUM_MAX_NS);
    assert_adds_up(&tree);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inner_spans_are_part_of_outer_ones),
        cmocka_unit_test(patterns_look_at_all_names_of_a_path),
        cmocka_unit_test(ranges_cut_spans),
        cmocka_unit_test(lanes_of_several_processes_are_told_apart),
        cmocka_unit_test(inner_spans_that_overlap_share_the_outer_one),
        cmocka_unit_test(spans_without_a_name_are_a_lanes_own),
        cmocka_unit_test(sums_are_exact_whatever_is_asked),
        cmocka_unit_test(sums_at_their_limit_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
