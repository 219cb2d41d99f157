/* SPDX-License-Identifier: MIT */
#include "query/wait_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static struct flame_result ask(struct scene *scene, uint32_t max_depth, double threshold_pct)
{
    const struct query_flame_options options = {.max_depth = max_depth,
                                                .threshold_pct = threshold_pct};
    struct flame_result result;
    assert_int_equal(query_flame(&scene->context, &options, &result, &scene->error), 0);
    return result;
}

static const struct flame_node *child(const struct flame_node *node, size_t index, const char *name)
{
    assert_true(index < node->n_children);
    assert_string_equal(node->children[index].name, name);
    return &node->children[index];
}

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof(*(array))))

/*
 * run_worker ─ walk_tree ─┬ hash_key   50 (from two places of walk_tree)
 *                         └ copy_bytes 15
 *              visit_node                5
 * walk_tree                             30, called by nobody
 */
static void tell_hundred(struct scene *scene)
{
    const uint64_t hash[] = {place_in(hash_key, 1), place_in(walk_tree, 2),
                             place_in(run_worker, 6)};
    const uint64_t hash_elsewhere[] = {place_in(hash_key, 5), place_in(walk_tree, 8),
                                       place_in(run_worker, 7)};
    const uint64_t copy[] = {place_in(copy_bytes, 1), place_in(walk_tree, 3),
                             place_in(run_worker, 6)};
    const uint64_t visit[] = {place_in(visit_node, 1), place_in(run_worker, 9)};
    const uint64_t alone[] = {place_in(walk_tree, 9)};
    tell_in(scene->aggregate, 1000, TEST_PID);
    for (uint64_t i = 0; i < 100; i++) {
        const uint64_t *ips = i < 20   ? hash
                              : i < 50 ? hash_elsewhere
                              : i < 65 ? copy
                              : i < 70 ? visit
                                       : alone;
        uint32_t n_ips = i < 65 ? 3 : i < 70 ? 2 : 1;
        tell_sample(scene->aggregate, 1001 + i, TEST_PID, ips, n_ips);
    }
    tell_out(scene->aggregate, 2000, TEST_PID, false);
    scene_freeze(scene, 2500);
}

static void functions_are_merged_under_their_callers(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_hundred(&scene);
    struct flame_result result = ask(&scene, 0, 0);
    const struct flame_node *root = &result.root;
    assert_string_equal(root->name, "(all)");
    assert_int_equal(root->active_ns, 1000);
    assert_int_equal(root->samples, 100);
    assert_int_equal(root->off_cpu_ns, result.totals.off_cpu_ns);
    assert_int_equal(root->n_children, 2);
    const struct flame_node *worker = child(root, 0, "run_worker");
    assert_int_equal(worker->active_ns, 700);
    assert_int_equal(worker->self_active_ns, 0);
    assert_int_equal(worker->n_children, 2);
    const struct flame_node *walk = child(worker, 0, "walk_tree");
    assert_int_equal(walk->active_ns, 650);
    const struct flame_node *hash = child(walk, 0, "hash_key");
    assert_int_equal(hash->active_ns, 500);
    assert_int_equal(hash->self_active_ns, 500);
    assert_int_equal(hash->samples, 50);
    assert_int_equal(hash->n_children, 0);
    assert_int_equal(child(walk, 1, "copy_bytes")->active_ns, 150);
    assert_int_equal(child(worker, 1, "visit_node")->active_ns, 50);
    const struct flame_node *alone = child(root, 1, "walk_tree");
    assert_int_equal(alone->active_ns, 300);
    assert_int_equal(alone->self_active_ns, 300);
    assert_string_equal(alone->address, walk->address);
    assert_non_null(strstr(alone->image, "query_flame"));
    assert_null(result.hint);
    assert_int_equal(root->hidden_nodes + worker->hidden_nodes + walk->hidden_nodes, 0);
    scene_end(&scene);
}

static void depth_is_cut_and_counted(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_hundred(&scene);
    struct flame_result result = ask(&scene, 1, 0);
    assert_int_equal(result.root.n_children, 2);
    const struct flame_node *worker = child(&result.root, 0, "run_worker");
    assert_int_equal(worker->n_children, 0);
    assert_true(worker->hidden_nodes >= 4); /* two functions, and two below one of them */
    assert_int_equal(worker->active_ns, 700);
    assert_int_equal(result.root.hidden_nodes, 0);
    assert_int_equal(child(&result.root, 1, "walk_tree")->hidden_nodes, 0);

    result = ask(&scene, 2, 0);
    worker = child(&result.root, 0, "run_worker");
    assert_int_equal(worker->n_children, 2);
    assert_int_equal(worker->hidden_nodes, 0);
    assert_true(child(worker, 0, "walk_tree")->hidden_nodes >= 2);
    assert_int_equal(child(worker, 0, "walk_tree")->n_children, 0);
    scene_end(&scene);
}

static void what_is_too_light_is_cut_and_counted(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_hundred(&scene);
    struct flame_result result = ask(&scene, 0, 10);
    const struct flame_node *worker = child(&result.root, 0, "run_worker");
    assert_int_equal(worker->n_children, 1); /* visit_node has 5 % */
    assert_true(worker->hidden_nodes >= 1);
    assert_int_equal(worker->children[0].n_children, 2);
    result = ask(&scene, 0, 40);
    assert_int_equal(result.root.n_children, 1); /* walk_tree alone has 30 % */
    assert_int_equal(result.root.hidden_nodes, 1);
    result = ask(&scene, 0, 100);
    assert_int_equal(result.root.n_children, 0);
    assert_true(result.root.hidden_nodes >= 5);
    assert_int_equal(result.root.active_ns, 1000);
    scene_end(&scene);
}

static void time_without_a_place_is_a_child_of_all(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_in(scene.aggregate, 1000, 2);
    tell_out(scene.aggregate, 1500, 2, false);
    const uint64_t ip = place_in(hash_key, 0);
    tell_in(scene.aggregate, 1500, 1);
    for (uint64_t i = 0; i < 100; i++) {
        tell_sample(scene.aggregate, 1501, 1, i < 60 ? &ip : NULL, i < 60);
    }
    tell_out(scene.aggregate, 2500, 1, false);
    scene_freeze(&scene, 2500);
    struct flame_result result = ask(&scene, 0, 0);
    assert_int_equal(result.root.n_children, 3);
    assert_int_equal(result.root.active_ns, 1500);
    assert_int_equal(child(&result.root, 0, "hash_key")->active_ns, 600);
    assert_int_equal(child(&result.root, 1, "(not sampled)")->active_ns, 500);
    assert_int_equal(child(&result.root, 1, "(not sampled)")->samples, 0);
    assert_int_equal(child(&result.root, 2, "(no stack)")->samples, 40);
    scene_end(&scene);
}

/* What stands in the tree sums to what the mode weighs. */
static uint64_t sum_self(const struct flame_node *node)
{
    uint64_t sum_ns = node->self_active_ns + node->self_off_cpu_ns;
    sum_ns += node->n_children == 0 ? node->runq_ns : 0;
    for (size_t i = 0; i < node->n_children; i++) {
        sum_ns += sum_self(&node->children[i]);
    }
    return sum_ns;
}

/* 3000 on a CPU, 800 of it sampled in run_worker ─ walk_tree, and the waits of tell_waits(). */
static void tell_samples_and_waits(struct scene *scene)
{
    const uint64_t ips[] = {place_in(walk_tree, 5), place_in(run_worker, 2)};
    tell_waits(scene);
    tell_in(scene->aggregate, 12000, TEST_PID);
    tell_sample(scene->aggregate, 12100, TEST_PID, ips, 2);
    tell_out(scene->aggregate, 13000, TEST_PID, true);
    tell_in(scene->aggregate, 13500, TEST_PID);
    scene_freeze(scene, 14000);
}

static void waits_are_a_tree(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_samples_and_waits(&scene);
    scene.view.mode = VIEW_MODE_OFF_CPU;
    struct flame_result result = ask(&scene, 0, 0);
    assert_int_equal(result.totals.off_cpu_ns, 6500 + 4300);
    assert_int_equal(result.root.off_cpu_ns, 10800);
    assert_int_equal(result.root.n_children, 1);
    const struct flame_node *worker = child(&result.root, 0, "run_worker");
    assert_int_equal(worker->off_cpu_ns, 10800);
    assert_true(worker->active_ns > 0);
    assert_int_equal(worker->n_children, 3);
    const struct flame_node *walk = child(worker, 0, "walk_tree");
    assert_int_equal(walk->off_cpu_ns, 6000);
    assert_int_equal(walk->self_off_cpu_ns, 0);
    assert_int_equal(child(walk, 0, "epoll_wait")->self_off_cpu_ns, 6000);
    assert_int_equal(child(worker, 1, "__GI___clock_nanosleep")->off_cpu_ns, 4000);
    assert_int_equal(child(worker, 2, "__lll_lock_wait")->off_cpu_ns, 800);
    assert_null(result.hint);

    result = ask(&scene, 0, 20.0);
    worker = child(&result.root, 0, "run_worker");
    assert_int_equal(worker->n_children, 2);
    assert_true(worker->hidden_nodes > 0);
    scene_end(&scene);
}

static void waits_are_a_tree_upside_down(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_samples_and_waits(&scene);
    scene.view.mode = VIEW_MODE_OFF_CPU;
    const struct query_flame_options options = {.invert = true};
    struct flame_result result;
    assert_int_equal(query_flame(&scene.context, &options, &result, &scene.error), 0);
    assert_int_equal(result.root.n_children, 3);
    const struct flame_node *ready = child(&result.root, 0, "epoll_wait");
    assert_int_equal(ready->off_cpu_ns, 6000);
    const struct flame_node *worker = child(child(ready, 0, "walk_tree"), 0, "run_worker");
    assert_int_equal(worker->self_off_cpu_ns, 6000);
    assert_int_equal(child(&result.root, 2, "__lll_lock_wait")->off_cpu_ns, 800);
    assert_int_equal(sum_self(&result.root), 10800);
    scene_end(&scene);
}

static void wall_is_everything(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_samples_and_waits(&scene);
    scene.view.mode = VIEW_MODE_WALL;
    struct flame_result result = ask(&scene, 0, 0);
    const struct totals *totals = &result.totals;
    assert_true(totals->runq_ns > 0);
    uint64_t wall_ns = 2 * 13000; /* two threads from 1000 to 14000 */
    assert_int_equal(totals->cpu_ns + totals->off_cpu_ns + totals->runq_ns, wall_ns);
    assert_int_equal(sum_self(&result.root), wall_ns);
    bool has_queue = false;
    for (size_t i = 0; i < result.root.n_children; i++) {
        const struct flame_node *node = &result.root.children[i];
        has_queue = has_queue || (strcmp(node->name, "(waiting for a CPU)") == 0 &&
                                  node->runq_ns == totals->runq_ns);
    }
    assert_true(has_queue);
    scene_end(&scene);
}

static void check_node(const struct flame_node *node, bool is_root, uint32_t depth,
                       uint32_t max_depth)
{
    uint64_t sum_ns = node->self_active_ns, sum_samples = 0;
    assert_true(depth <= max_depth);
    for (size_t i = 0; i < node->n_children; i++) {
        const struct flame_node *at = &node->children[i];
        sum_ns += at->active_ns;
        sum_samples += at->samples;
        assert_true(i == 0 || at[-1].active_ns >= at->active_ns);
        for (size_t k = 0; k < i; k++) { /* a function stands under its caller once */
            assert_false(strcmp(node->children[k].name, at->name) == 0 &&
                         strcmp(node->children[k].address ? node->children[k].address : "",
                                at->address ? at->address : "") == 0);
        }
        check_node(at, false, depth + 1, max_depth);
    }
    assert_true(sum_samples <= node->samples);
    if (node->hidden_nodes == 0) {
        assert_int_equal(sum_ns, node->active_ns);
        if (is_root) {
            assert_int_equal(sum_samples, node->samples);
        }
    } else {
        assert_true(sum_ns <= node->active_ns);
    }
}

typedef void (*function_cb)(void);
static const function_cb functions[] = {walk_tree, visit_node, hash_key, copy_bytes, run_worker};

static uint64_t tell_random_stacks(struct scene *scene, struct random_life *life)
{
    uint64_t now_ns = 1000;
    for (int64_t tid = 1; tid <= 20; tid++) {
        tell_in(scene->aggregate, now_ns, tid);
        uint64_t n_samples = random_life_below(life, tid % 3 ? 150 : 3);
        for (uint64_t i = 0; i < n_samples; i++) {
            uint64_t ips[12];
            uint32_t n_ips = (uint32_t)random_life_below(life, 12);
            for (uint32_t k = 0; k < n_ips; k++) {
                ips[k] = place_in(functions[random_life_below(life, 5)],
                                  1 + (unsigned int)random_life_below(life, 3));
            }
            now_ns += random_life_below(life, 1000);
            tell_sample(scene->aggregate, now_ns, tid, ips, n_ips);
        }
        now_ns += 1 + random_life_below(life, 100000);
        tell_out(scene->aggregate, now_ns, tid, random_life_below(life, 2));
    }
    return now_ns;
}

/* Three questions about the same snapshot: their totals are the same to the nanosecond. */
static void compare_views(struct scene *scene)
{
    const struct query_top_options top_options = {.limit = 3};
    const struct query_threads_options threads_options = {.limit = 3};
    struct top_result top;
    struct threads_result threads;
    assert_int_equal(query_top(&scene->context, &top_options, &top, &scene->error), 0);
    assert_int_equal(query_threads(&scene->context, &threads_options, &threads, &scene->error), 0);
    struct flame_result flame = ask(scene, 0, 0);
    check_node(&flame.root, true, 0, UINT32_MAX);
    assert_memory_equal(&flame.totals, &top.totals, sizeof(top.totals));
    assert_memory_equal(&flame.totals, &threads.totals, sizeof(threads.totals));
    assert_memory_equal(&flame.run, &top.run, sizeof(top.run));
    assert_int_equal(flame.root.active_ns, top.totals.active_ns);
    assert_int_equal(flame.root.samples, top.totals.samples);
    for (uint32_t max_depth = 1; max_depth < 9; max_depth += 3) {
        flame = ask(scene, max_depth, max_depth * 2.5);
        assert_int_equal(flame.root.active_ns, top.totals.active_ns);
        check_node(&flame.root, true, 0, max_depth);
    }
}

static void all_views_agree(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    struct random_life life = {.state = 5};
    uint64_t now_ns = tell_random_stacks(&scene, &life);
    scene_freeze(&scene, now_ns);
    char pattern[] = "visit", *patterns[] = {pattern};
    int64_t tids[] = {2, 4, 6, 15};
    for (int i = 0; i < 16; i++) {
        scene_ask_anew(&scene);
        scene.view.has_from = i % 2;
        scene.view.from_ns = (int64_t)now_ns / 3;
        scene.view.has_to = i / 2 % 2;
        scene.view.to_ns = -(int64_t)(now_ns / 5);
        scene.view.n_focus = i / 4 % 2;
        scene.view.focus = patterns;
        scene.view.n_tids = i / 8 % 2 ? 4 : 0;
        scene.view.tids = tids;
        compare_views(&scene);
    }
    scene_end(&scene);
}

/* ---- while the run goes on ---- */

#define N_ASKERS 3

struct desk {
    struct scene *scene;
    pthread_mutex_t lock; /* of `newest` alone */
    struct snapshot *newest;
    atomic_bool is_over;
    atomic_uint_fast64_t n_asked, n_wrong;
};

/* One client: asks all three questions of the newest moment; they must agree. */
static bool ask_newest(struct desk *desk)
{
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    pthread_mutex_lock(&desk->lock);
    struct snapshot *snapshot = desk->newest ? snapshot_ref(desk->newest) : NULL;
    pthread_mutex_unlock(&desk->lock);
    if (!snapshot) {
        return true;
    }
    const struct view view = {.has_from = atomic_load(&desk->n_asked) % 2, .from_ns = 1};
    const struct query_context context = {
        .snapshot = snapshot, .names = desk->scene->names, .view = &view, .arena = &arena};
    const struct query_flame_options flame_options = {.threshold_pct = 1};
    const struct query_top_options top_options = {.limit = 10};
    const struct query_threads_options threads_options = {.limit = 10};
    struct flame_result flame;
    struct top_result top;
    struct threads_result threads;
    struct error error;
    bool is_right = query_flame(&context, &flame_options, &flame, &error) == 0 &&
                    query_top(&context, &top_options, &top, &error) == 0 &&
                    query_threads(&context, &threads_options, &threads, &error) == 0 &&
                    memcmp(&flame.totals, &top.totals, sizeof(top.totals)) == 0 &&
                    memcmp(&flame.totals, &threads.totals, sizeof(threads.totals)) == 0 &&
                    flame.root.active_ns == top.totals.active_ns;
    snapshot_unref(snapshot);
    return is_right;
}

static void *ask_until_over(void *userdata)
{
    struct desk *desk = userdata;
    while (!atomic_load(&desk->is_over)) {
        atomic_fetch_add(&desk->n_wrong, !ask_newest(desk));
        atomic_fetch_add(&desk->n_asked, 1);
    }
    return NULL;
}

static void questions_while_the_run_goes_on(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    struct desk desk = {.scene = &scene, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t askers[N_ASKERS];
    for (int i = 0; i < N_ASKERS; i++) {
        assert_int_equal(pthread_create(&askers[i], NULL, ask_until_over, &desk), 0);
    }
    struct random_life life = {.state = 4, .n_threads = 10, .sample_pct = 50, .has_switches = true};
    for (int round = 0; round < 60 || atomic_load(&desk.n_asked) < 60; round++) {
        random_life_play(&life, scene.aggregate, 300);
        const uint64_t ips[] = {place_in(hash_key, (unsigned int)round), place_in(walk_tree, 1)};
        tell_sample(scene.aggregate, life.now_ns, TEST_PID, ips, COUNT(ips));
        struct snapshot *snapshot = aggregate_snapshot(scene.aggregate, life.now_ns);
        pthread_mutex_lock(&desk.lock);
        struct snapshot *before = desk.newest;
        desk.newest = snapshot;
        pthread_mutex_unlock(&desk.lock);
        snapshot_unref(before);
    }
    atomic_store(&desk.is_over, true);
    for (int i = 0; i < N_ASKERS; i++) {
        pthread_join(askers[i], NULL);
    }
    assert_int_equal(atomic_load(&desk.n_wrong), 0);
    snapshot_unref(desk.newest);
    scene_end(&scene);
}

/* A recursion as deep as stacks can be neither overflows nor nests without bound. */
static void very_deep_stacks(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    static uint64_t ips[LIMIT_STACK_IPS];
    for (unsigned int i = 0; i < LIMIT_STACK_IPS; i++) {
        ips[i] = place_in(i % 2 ? walk_tree : visit_node, 1);
    }
    tell_in(scene.aggregate, 1000, 1);
    for (uint64_t i = 0; i < 100; i++) {
        tell_sample(scene.aggregate, 1000 + i, 1, ips, LIMIT_STACK_IPS);
    }
    tell_out(scene.aggregate, 2000, 1, false);
    scene_freeze(&scene, 2000);
    struct flame_result result = ask(&scene, 0, 0);
    unsigned int depth = 0;
    const struct flame_node *node = &result.root;
    for (; node->n_children > 0; node = node->children) {
        assert_int_equal(node->n_children, 1);
        assert_int_equal(node->children->active_ns, 1000);
        depth++;
    }
    assert_true(depth >= 500 && depth < LIMIT_STACK_IPS);
    assert_int_equal(depth + node->hidden_nodes, LIMIT_STACK_IPS);

    const struct query_top_options options = {0};
    struct top_result top;
    assert_int_equal(query_top(&scene.context, &options, &top, &scene.error), 0);
    assert_int_equal(top.n_rows, 2);
    assert_int_equal(top.rows[0].total_active_ns, 1000);
    assert_int_equal(top.rows[1].total_active_ns, 1000);
    scene_end(&scene);
}

static void too_little_memory_is_told(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_hundred(&scene);
    unsigned int n_refused = 0;
    for (size_t max_bytes = 1; max_bytes < 32768; max_bytes += 217) {
        arena_release(&scene.arena);
        arena_init(&scene.arena, max_bytes);
        const struct query_flame_options options = {0};
        struct flame_result result;
        int r = query_flame(&scene.context, &options, &result, &scene.error);
        assert_true(r == 0 || r == -ENOMEM);
        n_refused += r != 0;
    }
    assert_true(n_refused > 0);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_are_merged_under_their_callers),
        cmocka_unit_test(depth_is_cut_and_counted),
        cmocka_unit_test(what_is_too_light_is_cut_and_counted),
        cmocka_unit_test(time_without_a_place_is_a_child_of_all),
        cmocka_unit_test(waits_are_a_tree),
        cmocka_unit_test(waits_are_a_tree_upside_down),
        cmocka_unit_test(wall_is_everything),
        cmocka_unit_test(all_views_agree),
        cmocka_unit_test(questions_while_the_run_goes_on),
        cmocka_unit_test(very_deep_stacks),
        cmocka_unit_test(too_little_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
