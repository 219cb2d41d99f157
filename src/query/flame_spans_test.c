/* SPDX-License-Identifier: MIT */
#include "query/flame_spans.h"

#include <string.h>

#include "query/lane_test.h"

static struct flame_result ask(struct scene *scene, const struct query_flame_options *options)
{
    struct flame_result result;
    assert_int_equal(query_flame(&scene->context, options, &result, &scene->error), 0);
    return result;
}

static struct flame_result ask_mode(struct scene *scene, enum view_mode mode)
{
    const struct query_flame_options options = {0};
    scene->view.mode = mode;
    return ask(scene, &options);
}

static const struct flame_node *child(const struct flame_node *node, const char *name)
{
    for (size_t i = 0; i < node->n_children; i++) {
        if (strcmp(node->children[i].name, name) == 0) {
            return &node->children[i];
        }
    }
    return NULL;
}

/* Children that are not linked and what is a node's own are all of it; linked ones add nothing. */
static void assert_adds_up(const struct flame_node *node, bool is_root)
{
    uint64_t active_ns = node->self_active_ns, target_ns = 0;
    for (size_t i = 0; i < node->n_children; i++) {
        const struct flame_node *one = &node->children[i];
        assert_adds_up(one, false);
        active_ns += one->active_ns;
        target_ns += one->linked ? 0 : one->target_ns;
        assert_true(!one->linked || one->active_ns == 0);
        assert_true(!node->linked || one->linked);
    }
    if (!node->linked) {
        assert_int_equal(active_ns, node->active_ns);
    }
    if (is_root) {
        assert_int_equal(target_ns, node->target_ns);
    }
}

static void assert_node(const struct flame_node *node, uint64_t active_ns, uint64_t self_ns,
                        uint64_t target_ns, uint64_t n_spans)
{
    assert_non_null(node);
    assert_int_equal(node->active_ns, active_ns);
    assert_int_equal(node->self_active_ns, self_ns);
    assert_int_equal(node->target_ns, target_ns);
    assert_int_equal(node->spans, n_spans);
}

static void lanes_stand_beside_stacks(void **state)
{
    (void)state;
    struct scene scene;
    lane_test_begin(&scene);
    struct flame_result result = ask_mode(&scene, VIEW_MODE_ACTIVE);
    assert_int_equal(result.totals.cpu_ns, 1000);
    assert_int_equal(result.totals.target_ns, 1250);
    assert_int_equal(result.totals.active_ns, 2250);
    assert_node(&result.root, 2250, 0, 1250, 6);
    assert_adds_up(&result.root, true);
    assert_int_equal(result.root.n_children, 3);
    assert_node(child(&result.root, "run_worker"), 1000, 0, 0, 0);

    const struct flame_node *gpu = child(&result.root, "GPU 0");
    assert_node(gpu, 350, 0, 350, 2);
    assert_int_equal(gpu->kind, FRAME_KIND_TARGET);
    assert_string_equal(gpu->image, "[gpu lane]");
    assert_node(child(gpu, "kernel"), 350, 350, 350, 2);
    assert_string_equal(gpu->children[0].image, "[GPU 0]");

    const struct flame_node *decoder = child(&result.root, "decoder");
    assert_node(decoder, 900, 0, 900, 4);
    const struct flame_node *frame = child(decoder, "frame");
    assert_node(frame, 900, 500, 900, 2);
    assert_node(child(frame, "decode"), 300, 300, 300, 1);
    assert_node(child(frame, "filter"), 100, 100, 100, 1);
    assert_string_equal(frame->children[0].name, "decode"); /* by weight */
    scene_end(&scene);
}

static void modes_choose_times(void **state)
{
    (void)state;
    struct scene scene;
    lane_test_begin(&scene);
    struct flame_result result = ask_mode(&scene, VIEW_MODE_TARGET);
    assert_node(&result.root, 1250, 0, 1250, 6);
    assert_adds_up(&result.root, true);
    assert_int_equal(result.root.n_children, 2);
    assert_string_equal(result.root.children[0].name, "decoder");
    assert_null(result.hint);

    result = ask_mode(&scene, VIEW_MODE_CPU);
    assert_node(&result.root, 1000, 0, 0, 0);
    assert_adds_up(&result.root, true);
    assert_int_equal(result.root.n_children, 1);
    assert_int_equal(result.totals.target_ns, 1250);

    result = ask_mode(&scene, VIEW_MODE_WALL);
    assert_int_equal(result.root.n_children, 3);
    assert_adds_up(&result.root, true);
    result = ask_mode(&scene, VIEW_MODE_OFF_CPU);
    assert_null(child(&result.root, "GPU 0"));
    scene_end(&scene);
}

static void a_view_without_spans_says_so(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    lane_test_tell_thread(scene.aggregate);
    scene_freeze(&scene, LANE_TEST_NS + 1000);
    struct flame_result result = ask_mode(&scene, VIEW_MODE_TARGET);
    assert_int_equal(result.root.n_children, 0);
    assert_non_null(strstr(result.hint, "stax target lanes"));
    scene_end(&scene);
}

static void light_and_deep_spans_are_counted(void **state)
{
    (void)state;
    struct scene scene;
    lane_test_begin(&scene);
    const struct query_flame_options light = {.threshold_pct = 10.0}; /* of 2250 */
    struct flame_result result = ask(&scene, &light);
    const struct flame_node *frame = child(child(&result.root, "decoder"), "frame");
    assert_int_equal(frame->n_children, 1);
    assert_int_equal(frame->hidden_nodes, 1);
    assert_non_null(child(frame, "decode"));

    const struct query_flame_options flat = {.max_depth = 1};
    result = ask(&scene, &flat);
    const struct flame_node *decoder = child(&result.root, "decoder");
    assert_int_equal(decoder->n_children, 0);
    assert_int_equal(decoder->hidden_nodes, 3);
    const struct query_flame_options heavy = {.threshold_pct = 39.0};
    result = ask(&scene, &heavy);
    assert_null(child(&result.root, "GPU 0"));
    assert_int_equal(result.root.hidden_nodes, 2);
    scene_end(&scene);
}

static void an_inverted_tree_has_spans_on_top(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    lane_test_tell(scene.aggregate);
    lane_test_tell_lane(scene.aggregate, 2, LANE_KIND_GENERIC, "other");
    lane_test_tell_span(scene.aggregate, 2, SPAN_DECODE, 0, 50, 0, NULL);
    lane_test_tell_span(scene.aggregate, 2, SPAN_FRAME, 0, 60, 0, NULL);
    scene_freeze(&scene, LANE_TEST_NS + 1000);
    const struct query_flame_options inverted = {.invert = true};
    struct flame_result result = ask(&scene, &inverted);
    assert_int_equal(result.totals.target_ns, 1310);
    assert_adds_up(&result.root, true);
    assert_int_equal(result.root.n_children, 4);
    const struct flame_node *decode = child(&result.root, "decode");
    assert_node(decode, 350, 0, 350, 2);
    assert_string_equal(decode->image, ""); /* of several lanes */
    const struct flame_node *frame = child(decode, "frame");
    assert_node(frame, 350, 0, 350, 2);
    assert_int_equal(frame->n_children, 2);
    assert_node(child(frame, "decoder"), 300, 300, 300, 1);
    assert_node(child(frame, "other"), 50, 50, 50, 1);
    assert_node(child(&result.root, "frame"), 510, 0, 510, 3);
    assert_string_equal(child(&result.root, "kernel")->image, "[GPU 0]");
    scene_end(&scene);
}

static void tids_of_lanes_choose_lanes(void **state)
{
    (void)state;
    struct scene scene;
    lane_test_begin(&scene);
    int64_t tids[] = {LANE_TID_FIRST + LANE_GPU};
    scene.view = (struct view){.n_tids = 1, .tids = tids};
    struct flame_result result = ask_mode(&scene, VIEW_MODE_ACTIVE);
    assert_int_equal(result.root.n_children, 1);
    assert_node(&result.root, 350, 0, 350, 2);
    assert_adds_up(&result.root, true);
    scene_end(&scene);
}

static void queued_work_is_linked(void **state)
{
    (void)state;
    struct scene scene;
    lane_test_begin(&scene);
    int64_t tids[] = {TEST_PID};
    scene.view = (struct view){.n_tids = 1, .tids = tids};
    struct flame_result result = ask_mode(&scene, VIEW_MODE_ACTIVE);
    assert_int_equal(result.totals.active_ns, 1000);
    assert_int_equal(result.totals.target_ns, 0);
    assert_int_equal(result.totals.spans, 0);
    assert_node(&result.root, 1000, 0, 0, 0);
    assert_adds_up(&result.root, true);
    assert_int_equal(result.root.n_children, 2);

    const struct flame_node *queued = &result.root.children[1];
    assert_string_equal(queued->name, "(queued work)");
    assert_true(queued->linked);
    assert_node(queued, 0, 0, 350 + 800, 3);
    const struct flame_node *gpu = child(queued, "GPU 0");
    assert_true(gpu->linked);
    assert_node(child(gpu, "kernel"), 0, 0, 350, 2);
    assert_node(child(child(queued, "decoder"), "frame"), 0, 0, 800, 1);

    scene.view.has_to = true;
    scene.view.to_ns = 200;
    result = ask_mode(&scene, VIEW_MODE_TARGET);
    assert_int_equal(result.root.n_children, 1);
    assert_node(&result.root.children[0], 0, 0, 100 + 200, 2);

    result = ask_mode(&scene, VIEW_MODE_CPU);
    assert_null(child(&result.root, "(queued work)"));
    scene_end(&scene);
}

/* A thread that waits from 20 to 60 ms, of which a span runs from 30 to 55 ms. */
static void tell_wait(struct scene *scene)
{
    const uint64_t wait[] = {place_in(walk_tree, 3), place_in(run_worker, 2)};
    const uint64_t run[] = {place_in(hash_key, 1), place_in(run_worker, 2)};
    struct aggregate *aggregate = scene->aggregate;
    tell_in(aggregate, LANE_TEST_NS, TEST_PID);
    tell_sample(aggregate, LANE_TEST_NS + TEST_MS, TEST_PID, run, 2);
    tell(aggregate, (struct event){.kind = EVENT_SWITCH_OUT,
                                   .time_ns = LANE_TEST_NS + 20 * TEST_MS,
                                   .pid = TEST_PID,
                                   .tid = TEST_PID,
                                   .stack = {.ips = wait, .n_ips = 2},
                                   .switch_out = {.object = {.syscall = EVENT_NO_SYSCALL}}});
    tell_in(aggregate, LANE_TEST_NS + 60 * TEST_MS, TEST_PID);
    tell_sample(aggregate, LANE_TEST_NS + 70 * TEST_MS, TEST_PID, run, 2);
    lane_test_tell_lane(aggregate, LANE_GPU, LANE_KIND_GPU, "GPU 0");
    lane_test_tell_name(aggregate, SPAN_KERNEL, 0, "kernel");
    const struct event_span_details details = {
        .wait = {.pid = TEST_PID, .tid = TEST_PID, .time_ns = LANE_TEST_NS + 20 * TEST_MS},
        .wait_end_ns = LANE_TEST_NS + 60 * TEST_MS,
    };
    lane_test_tell_span(aggregate, LANE_GPU, SPAN_KERNEL, 30 * TEST_MS, 55 * TEST_MS, 19 * TEST_MS,
                        &details);
    lane_test_tell_span(aggregate, LANE_GPU, SPAN_KERNEL, 70 * TEST_MS, 75 * TEST_MS, 19 * TEST_MS,
                        NULL); /* nobody waits for this one */
    tell_out(aggregate, LANE_TEST_NS + 100 * TEST_MS, TEST_PID, true);
    scene_freeze(scene, LANE_TEST_NS + 100 * TEST_MS);
}

static void waits_that_are_proven_are_shown(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_wait(&scene);
    struct flame_result result = ask_mode(&scene, VIEW_MODE_OFF_CPU);
    assert_int_equal(result.totals.off_cpu_ns, 40 * TEST_MS);
    const struct flame_node *waiting = child(child(&result.root, "run_worker"), "walk_tree");
    assert_non_null(waiting);
    assert_int_equal(waiting->off_cpu_ns, 40 * TEST_MS);
    assert_int_equal(waiting->self_off_cpu_ns, 40 * TEST_MS);
    assert_int_equal(waiting->target_ns, 0);
    assert_int_equal(waiting->n_children, 1);
    const struct flame_node *kernel = &waiting->children[0];
    assert_string_equal(kernel->name, "kernel");
    assert_string_equal(kernel->image, "[GPU 0]");
    assert_true(kernel->linked);
    assert_node(kernel, 0, 0, 25 * TEST_MS, 1);
    assert_int_equal(kernel->off_cpu_ns, 0);

    result = ask_mode(&scene, VIEW_MODE_WALL);
    assert_adds_up(&result.root, true);
    waiting = child(child(&result.root, "run_worker"), "walk_tree");
    assert_int_equal(waiting->n_children, 1);
    assert_node(child(child(&result.root, "GPU 0"), "kernel"), 30 * TEST_MS, 30 * TEST_MS,
                30 * TEST_MS, 2);

    /* Nothing ran there, so a tree of what ran has no such stack. */
    result = ask_mode(&scene, VIEW_MODE_ACTIVE);
    assert_adds_up(&result.root, true);
    assert_null(child(child(&result.root, "run_worker"), "walk_tree"));

    char pattern[] = "kernel", *patterns[] = {pattern};
    scene.view = (struct view){.n_exclude = 1, .exclude = patterns};
    result = ask_mode(&scene, VIEW_MODE_OFF_CPU);
    waiting = child(child(&result.root, "run_worker"), "walk_tree");
    assert_int_equal(waiting->n_children, 0);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_stand_beside_stacks),
        cmocka_unit_test(modes_choose_times),
        cmocka_unit_test(a_view_without_spans_says_so),
        cmocka_unit_test(light_and_deep_spans_are_counted),
        cmocka_unit_test(an_inverted_tree_has_spans_on_top),
        cmocka_unit_test(tids_of_lanes_choose_lanes),
        cmocka_unit_test(queued_work_is_linked),
        cmocka_unit_test(waits_that_are_proven_are_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
