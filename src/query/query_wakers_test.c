/* SPDX-License-Identifier: MIT */
#include "query/wake_test.h"

#include <errno.h>

static struct wakers_result ask(struct scene *scene, struct query_wakers_options options)
{
    struct wakers_result result;
    assert_int_equal(query_wakers(&scene->context, &options, &result, &scene->error), 0);
    for (size_t i = 1; i < result.n_rows; i++) {
        assert_true(result.rows[i].wait_ended_ns <= result.rows[i - 1].wait_ended_ns);
    }
    return result;
}

static const struct waker_row *row_of(const struct wakers_result *result, int64_t waker_tid,
                                      int64_t wakee_tid)
{
    for (size_t i = 0; i < result->n_rows; i++) {
        if (result->rows[i].waker_tid == waker_tid && result->rows[i].wakee_tid == wakee_tid) {
            return &result->rows[i];
        }
    }
    return NULL;
}

/* a wakes b twice from one place and once from another, b wakes c, a timer wakes a. */
static void tell_chain(struct scene *scene)
{
    const uint64_t here[] = {place_in(visit_node, 1), place_in(run_worker, 2)};
    const uint64_t there[] = {place_in(hash_key, 1), place_in(run_worker, 2)};
    uint64_t lock[2];
    uint32_t n_lock = stack_to_wait_in(WAIT_REASON_LOCK, lock);
    const int64_t a = TEST_PID, b = 2, c = 3;
    tell_start(scene, 1000, a, "a");
    tell_start(scene, 1000, b, "b");
    tell_start(scene, 1000, c, "c");
    for (uint64_t i = 0; i < 3; i++) {
        uint64_t at_ns = 2000 + 1000 * i;
        tell_block(scene, at_ns, b, lock, n_lock, no_object());
        tell_wakeup(scene, at_ns + 500, b, a, i < 2 ? 1 : 2, i < 2 ? here : there, i == 1 ? 0 : 2);
        tell_woken_by(scene, at_ns + 510, b, at_ns + 500, a, i < 2 ? 1 : 2);
    }
    tell_block(scene, 5000, c, lock, n_lock, no_object());
    tell_woken_by(scene, 5920, c, 5900, b, 0);
    tell_block(scene, 6000, a, lock, n_lock, no_object());
    tell_woken_by(scene, 6110, a, 6100, EVENT_NO_WAKER, 0);
    tell_block(scene, 7000, a, lock, n_lock, no_object());
    tell_in(scene->aggregate, 7100, a); /* nobody told who did that */
    scene_freeze(scene, 9000);
}

static void pairs_have_their_wakeups(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_chain(&scene);
    struct wakers_result result = ask(&scene, (struct query_wakers_options){0});
    assert_int_equal(result.wakers, 3);
    assert_int_equal(result.n_rows, 3);
    assert_int_equal(result.count, 5);
    assert_int_equal(result.wait_ended_ns, 3 * 500 + 900 + 100);
    assert_int_equal(result.runq_ns, 3 * 10 + 20 + 10);
    assert_null(result.hint);
    assert_null(result.chain_end);
    const struct waker_row *row = &result.rows[0];
    assert_int_equal(row->waker_tid, TEST_PID);
    assert_string_equal(row->waker_name, "a");
    assert_int_equal(row->wakee_tid, 2);
    assert_string_equal(row->wakee_name, "b");
    assert_int_equal(row->count, 3);
    assert_int_equal(row->wait_ended_ns, 1500);
    assert_int_equal(row->runq_ns, 30);
    assert_int_equal(row->stacks, 2);
    assert_int_equal(row->n_waker_stack, 2);
    assert_string_equal(row->waker_stack[0].name, "visit_node");
    row = row_of(&result, 0, TEST_PID);
    assert_non_null(row);
    assert_string_equal(row->waker_name, "(timer or interrupt)");
    assert_int_equal(row->wait_ended_ns, 100);
    assert_int_equal(row->n_waker_stack, 0);
    scene_end(&scene);
}

/* However many wakeups are of nobody knows where, a known place says more. */
static void a_known_stack_is_shown(void **state)
{
    (void)state;
    struct scene scene;
    const uint64_t here[] = {place_in(visit_node, 1), place_in(run_worker, 2)};
    uint64_t lock[2];
    uint32_t n_lock = stack_to_wait_in(WAIT_REASON_LOCK, lock);
    scene_begin(&scene, true, false);
    tell_start(&scene, 1000, TEST_PID, "a");
    tell_start(&scene, 1000, 2, "b");
    for (uint64_t i = 0; i < 5; i++) {
        uint64_t at_ns = 2000 + 1000 * i;
        tell_block(&scene, at_ns, 2, lock, n_lock, no_object());
        if (i == 2) {
            tell_wakeup(&scene, at_ns + 500, 2, TEST_PID, 1, here, 2);
        }
        tell_woken_by(&scene, at_ns + 510, 2, at_ns + 500, TEST_PID, i == 2 ? 1 : 0);
    }
    scene_freeze(&scene, 9000);
    struct wakers_result result = ask(&scene, (struct query_wakers_options){0});
    assert_int_equal(result.wakers, 1);
    assert_int_equal(result.rows[0].count, 5);
    assert_int_equal(result.rows[0].stacks, 2);
    assert_int_equal(result.rows[0].n_waker_stack, 2);
    scene_end(&scene);
}

static void stacks_can_be_kept_apart(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_chain(&scene);
    struct wakers_result result =
        ask(&scene, (struct query_wakers_options){.by_stack = true, .max_frames = 1});
    assert_int_equal(result.wakers, 4);
    size_t n_of_a = 0;
    for (size_t i = 0; i < result.n_rows; i++) {
        const struct waker_row *row = &result.rows[i];
        assert_int_equal(row->stacks, 1);
        if (row->waker_tid == TEST_PID) {
            bool is_here = strcmp(row->waker_stack[0].name, "visit_node") == 0;
            assert_int_equal(row->count, is_here ? 2 : 1);
            assert_int_equal(row->n_waker_stack, 1);
            n_of_a++;
        }
    }
    assert_int_equal(n_of_a, 2);
    result = ask(&scene, (struct query_wakers_options){.by_stack = true, .limit = 1});
    assert_int_equal(result.n_rows, 1);
    assert_int_equal(result.wakers, 4);
    assert_int_equal(result.count, 5);
    scene_end(&scene);
}

static void views_choose_wakees_ranges_and_stacks(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_chain(&scene);
    int64_t tids[] = {3};
    scene.view = (struct view){.n_tids = 1, .tids = tids};
    struct wakers_result result = ask(&scene, (struct query_wakers_options){0});
    assert_int_equal(result.wakers, 1);
    assert_int_equal(result.rows[0].waker_tid, 2);

    /* The wakeup has to lie in the range: the second one of b, at 3500. */
    scene.view = (struct view){.has_from = true, .from_ns = 2600, .has_to = true, .to_ns = 3600};
    result = ask(&scene, (struct query_wakers_options){0});
    assert_int_equal(result.wakers, 1);
    assert_int_equal(result.rows[0].count, 1);
    assert_int_equal(result.rows[0].wait_ended_ns, 500);
    scene.view = (struct view){.has_from = true, .from_ns = 7200};
    result = ask(&scene, (struct query_wakers_options){0});
    assert_int_equal(result.wakers, 0);
    assert_non_null(result.hint);

    char pattern[] = "hash_key", *patterns[] = {pattern};
    scene.view = (struct view){.n_focus = 1, .focus = patterns};
    result = ask(&scene, (struct query_wakers_options){0});
    assert_int_equal(result.wakers, 1);
    assert_int_equal(result.rows[0].count, 1);
    scene_end(&scene);
}

static void a_chain_goes_from_waker_to_waker(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_chain(&scene);
    int64_t tids[] = {3};
    scene.view = (struct view){.n_tids = 1, .tids = tids};
    struct wakers_result result = ask(&scene, (struct query_wakers_options){.chain = true});
    assert_int_equal(result.wakers, 1); /* rows are those of the view alone */
    assert_int_equal(result.n_chain, 3);
    assert_int_equal(result.chain[0].wakee_tid, 3);
    assert_int_equal(result.chain[0].waker_tid, 2);
    assert_int_equal(result.chain[0].wait_ended_ns, 900);
    assert_true(result.chain[0].share_pct == 100.0);
    assert_int_equal(result.chain[1].wakee_tid, 2);
    assert_int_equal(result.chain[1].waker_tid, TEST_PID);
    assert_int_equal(result.chain[1].count, 3);
    assert_string_equal(result.chain[1].waker_stack[0].name, "visit_node");
    assert_int_equal(result.chain[2].wakee_tid, TEST_PID);
    assert_int_equal(result.chain[2].waker_tid, 0);
    assert_non_null(strstr(result.chain_end, "timer"));

    /* Not asked for a thread: from the one for which most waiting was ended. */
    scene.view = (struct view){0};
    result = ask(&scene, (struct query_wakers_options){.chain = true});
    assert_int_equal(result.chain[0].wakee_tid, 2);
    scene_end(&scene);
}

static void tell_pair(struct scene *scene, uint64_t at_ns, int64_t wakee, int64_t waker)
{
    uint64_t lock[2];
    uint32_t n_lock = stack_to_wait_in(WAIT_REASON_LOCK, lock);
    tell_block(scene, at_ns, wakee, lock, n_lock, no_object());
    tell_wakeup(scene, at_ns + 50, wakee, waker, 0, NULL, 0);
    tell_woken_by(scene, at_ns + 60, wakee, at_ns + 50, waker, 0);
}

static void chains_end(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_start(&scene, 1000, TEST_PID, "ping");
    tell_start(&scene, 1000, 2, "pong");
    tell_pair(&scene, 2000, TEST_PID, 2);
    tell_pair(&scene, 3000, 2, TEST_PID);
    scene_freeze(&scene, 4000);
    struct wakers_result result = ask(&scene, (struct query_wakers_options){.chain = true});
    assert_int_equal(result.n_chain, 2);
    assert_non_null(strstr(result.chain_end, "cycle"));
    scene_end(&scene);

    scene_begin(&scene, false, false); /* each was woken by the next one, 15 of them */
    for (int64_t i = 0; i < 15; i++) {
        tell_start(&scene, 1000, TEST_PID + i, "link");
    }
    for (int64_t i = 0; i < 14; i++) {
        tell_pair(&scene, 2000 + (uint64_t)i * 100, TEST_PID + i, TEST_PID + i + 1);
    }
    scene_freeze(&scene, 9000);
    result = ask(&scene, (struct query_wakers_options){.chain = true});
    assert_int_equal(result.n_chain, 10);
    assert_non_null(strstr(result.chain_end, "ten"));
    int64_t tids[] = {TEST_PID + 13};
    scene.view = (struct view){.n_tids = 1, .tids = tids};
    result = ask(&scene, (struct query_wakers_options){.chain = true});
    assert_int_equal(result.n_chain, 1);
    assert_non_null(strstr(result.chain_end, "woken by nobody"));
    scene_end(&scene);

    scene_begin(&scene, false, false);
    tell_start(&scene, 1000, TEST_PID, "alone");
    tell_pair(&scene, 2000, TEST_PID, WAKE_STRANGER_TID);
    scene_freeze(&scene, 9000);
    result = ask(&scene, (struct query_wakers_options){.chain = true});
    assert_int_equal(result.n_chain, 1);
    assert_true(result.chain[0].is_outsider);
    assert_non_null(strstr(result.chain_end, "stranger (999999) is none"));
    scene_end(&scene);
}

static void what_is_not_recorded_is_said(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_start(&scene, 1000, TEST_PID, "main");
    tell_out(scene.aggregate, 2000, TEST_PID, false);
    tell_in(scene.aggregate, 3000, TEST_PID);
    scene_freeze(&scene, 4000);
    struct wakers_result result =
        ask(&scene, (struct query_wakers_options){.unrecorded = "perf_event_paranoid=2"});
    assert_int_equal(result.wakers, 0);
    assert_string_equal(result.hint,
                        "who wakes whom is not recorded here (perf_event_paranoid=2): run "
                        "stax-server as root, or install staxd: sudo stax setup");
    result = ask(&scene, (struct query_wakers_options){.chain = true});
    assert_non_null(strstr(result.hint, "was not recorded in this run"));
    assert_int_equal(result.n_chain, 0);
    assert_non_null(result.chain_end);
    scene_end(&scene);

    scene_begin(&scene, false, true);
    scene_freeze(&scene, 10);
    assert_non_null(strstr(ask(&scene, (struct query_wakers_options){0}).hint, "--no-off-cpu"));
    scene_end(&scene);
}

/* A range over everything has the wakeups that ended waits, as the sums of the run have them. */
static void ranges_agree_with_the_whole(void **state)
{
    (void)state;
    struct scene scene;
    static struct random_wakes wakes;
    scene_begin(&scene, false, false);
    random_wakes_play(&scene, &wakes, 99, 8000);
    scene_freeze(&scene, wakes.now_ns);
    struct wakers_result whole = ask(&scene, (struct query_wakers_options){0});
    assert_true(whole.wakers > 20);
    scene.view = (struct view){.has_from = true, .from_ns = 0};
    struct wakers_result range = ask(&scene, (struct query_wakers_options){0});
    assert_int_equal(range.wakers, whole.wakers);
    assert_int_equal(range.count, whole.count);
    assert_int_equal(range.wait_ended_ns, whole.wait_ended_ns);
    assert_int_equal(range.runq_ns, whole.runq_ns);
    for (size_t i = 0; i < whole.n_rows; i++) {
        const struct waker_row *row = &whole.rows[i];
        const struct waker_row *same = row_of(&range, row->waker_tid, row->wakee_tid);
        assert_non_null(same);
        assert_int_equal(same->count, row->count);
        assert_int_equal(same->wait_ended_ns, row->wait_ended_ns);
    }
    scene_end(&scene);
}

static void too_little_memory_is_told(void **state)
{
    (void)state;
    struct scene scene;
    static struct random_wakes wakes;
    scene_begin(&scene, false, false);
    random_wakes_play(&scene, &wakes, 5, 3000);
    scene_freeze(&scene, wakes.now_ns);
    const struct query_wakers_options options = {.chain = true};
    struct wakers_result result;
    for (size_t limit = 16; limit <= 8192; limit *= 4) {
        scene_ask_anew(&scene);
        scene.arena.max_bytes = limit;
        assert_int_equal(query_wakers(&scene.context, &options, &result, &scene.error), -ENOMEM);
    }
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_have_their_wakeups),
        cmocka_unit_test(a_known_stack_is_shown),
        cmocka_unit_test(stacks_can_be_kept_apart),
        cmocka_unit_test(views_choose_wakees_ranges_and_stacks),
        cmocka_unit_test(a_chain_goes_from_waker_to_waker),
        cmocka_unit_test(chains_end),
        cmocka_unit_test(what_is_not_recorded_is_said),
        cmocka_unit_test(ranges_agree_with_the_whole),
        cmocka_unit_test(too_little_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
