/* SPDX-License-Identifier: MIT */
#include "query/wait_shares.h"

#include <stdlib.h>

#include "query/wait_test.h"

#define THREADS 5
#define STACKS 6 /* the last one is the empty one */
#define WAITS 400
#define START_NS (1000 * TEST_MS)

struct made_wait {
    uint64_t start_ns, end_ns; /* end_ns 0: it lasts */
    unsigned int stack;
};

/* What the test itself knows of a run by chance. */
struct made_run {
    uint64_t seed, end_ns;
    struct made_wait waits[THREADS][WAITS];
    size_t n_waits[THREADS];
};

static uint64_t next(struct made_run *run, uint64_t bound)
{
    run->seed = run->seed * 6364136223846793005u + 1442695040888963407u;
    return (run->seed >> 20) % bound;
}

static uint32_t stack_ips(unsigned int stack, uint64_t *ret_ips)
{
    static void (*const functions[])(void) = {walk_tree, visit_node, hash_key, copy_bytes,
                                              epoll_wait};
    if (stack == STACKS - 1) {
        return 0;
    }
    ret_ips[0] = place_in(functions[stack], 1);
    ret_ips[1] = place_in(run_worker, 2);
    return 2;
}

/* Plays all threads; each does something at its own next time. */
static void play(struct scene *scene, struct made_run *run)
{
    uint64_t due_ns[THREADS];
    bool waits[THREADS] = {false};
    for (size_t i = 0; i < THREADS; i++) {
        tell_thread(scene->aggregate, START_NS, TEST_PID + (int64_t)i, EVENT_THREAD_BORN, "t");
        tell_in(scene->aggregate, START_NS, TEST_PID + (int64_t)i);
        due_ns[i] = START_NS + 1 + next(run, TEST_MS);
    }
    for (size_t step = 0; step < THREADS * WAITS; step++) {
        size_t first = 0;
        for (size_t i = 1; i < THREADS; i++) {
            first = due_ns[i] < due_ns[first] ? i : first;
        }
        int64_t tid = TEST_PID + (int64_t)first;
        struct made_wait *wait = &run->waits[first][run->n_waits[first]];
        if (waits[first]) {
            wait[-1].end_ns = due_ns[first];
            tell_in(scene->aggregate, due_ns[first], tid);
        } else {
            uint64_t ips[2];
            *wait = (struct made_wait){.start_ns = due_ns[first],
                                       .stack = (unsigned int)next(run, STACKS)};
            run->n_waits[first]++;
            tell_block(scene, due_ns[first], tid, ips, stack_ips(wait->stack, ips), no_object());
        }
        waits[first] = !waits[first];
        run->end_ns = due_ns[first] + 5;
        /* Some waits are longer than a slice may be, most are short. */
        due_ns[first] += 1 + next(run, next(run, 60) == 0 ? 3000 * TEST_MS : TEST_MS);
    }
    scene_freeze(scene, run->end_ns);
}

struct truth {
    uint64_t blocked_ns, n_waits, max_ns, n_open;
};

static struct truth truth_of(const struct made_run *run, size_t thread, unsigned int stack,
                             uint64_t from_ns, uint64_t to_ns)
{
    struct truth truth = {0};
    for (size_t i = 0; i < run->n_waits[thread]; i++) {
        const struct made_wait *wait = &run->waits[thread][i];
        uint64_t end_ns = wait->end_ns ? wait->end_ns : run->end_ns;
        uint64_t ns = wait_overlap_ns(wait->start_ns, end_ns, from_ns, to_ns);
        if (wait->stack != stack || ns == 0) {
            continue;
        }
        truth.blocked_ns += ns;
        truth.n_waits++;
        truth.n_open += wait->end_ns == 0;
        truth.max_ns = ns > truth.max_ns ? ns : truth.max_ns;
    }
    return truth;
}

/* The function in which a stack of the run ends; STACKS - 1: it has none. */
static unsigned int stack_number(const struct scene *scene, stack_id stack)
{
    static const char *const names[] = {"walk_tree", "visit_node", "hash_key", "copy_bytes",
                                        "epoll_wait"};
    if (stack == STACK_ID_EMPTY) {
        return STACKS - 1;
    }
    const char *name = query_names_find(scene->names, scene->snapshot,
                                        snapshot_stack(scene->snapshot, stack).frame)
                           ->name;
    for (unsigned int i = 0; i < STACKS - 1; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    fail_msg("%s", name);
    return 0;
}

static void compare(struct scene *scene, const struct made_run *run)
{
    struct attribution attribution;
    const struct wait_shares *waits;
    uint64_t sums[THREADS] = {0};
    bool was_met[THREADS][STACKS] = {{false}};
    assert_int_equal(attribution_compute(&scene->context, &attribution, &scene->error), 0);
    assert_int_equal(attribution_waits(&scene->context, &attribution, &waits), 0);
    for (size_t i = 0; i < waits->n_rows; i++) {
        const struct wait_share *row = &waits->rows[i];
        unsigned int stack = stack_number(scene, row->stack);
        assert_false(was_met[row->thread][stack]);
        was_met[row->thread][stack] = true;
        struct truth truth =
            truth_of(run, row->thread, stack, attribution.from_ns, attribution.to_ns);
        assert_int_equal(row->blocked_ns, truth.blocked_ns);
        assert_int_equal(row->n_waits, truth.n_waits);
        assert_int_equal(row->max_ns, truth.max_ns);
        assert_int_equal(row->n_open, truth.n_open);
        sums[row->thread] += row->blocked_ns;
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(sums[i], attribution.threads[i].blocked_ns);
        for (unsigned int stack = 0; stack < STACKS && attribution.threads[i].is_in_view; stack++) {
            struct truth truth = truth_of(run, i, stack, attribution.from_ns, attribution.to_ns);
            assert_int_equal(was_met[i][stack], truth.n_waits > 0);
        }
    }
}

static void rows_are_what_the_threads_did(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct made_run *run = calloc(1, sizeof(*run));
        assert_non_null(run);
        run->seed = seed;
        struct scene scene;
        scene_begin(&scene, true, false);
        play(&scene, run);
        compare(&scene, run);
        for (size_t i = 0; i < 40; i++) {
            scene_ask_anew(&scene);
            uint64_t length_ns = run->end_ns - scene.snapshot->start_ns;
            scene.view.has_from = next(run, 4) > 0;
            scene.view.has_to = next(run, 4) > 0;
            scene.view.from_ns = (int64_t)next(run, length_ns - 1);
            scene.view.to_ns = scene.view.has_from ? scene.view.from_ns : 0;
            scene.view.to_ns += 1 + (int64_t)next(run, next(run, 2) ? length_ns : TEST_MS);
            int64_t tids[] = {TEST_PID + 1, TEST_PID + 3};
            scene.view.n_tids = next(run, 3) ? 0 : 2;
            scene.view.tids = tids;
            compare(&scene, run);
        }
        scene_end(&scene);
        free(run);
    }
}

static void tell_cpu_time(const struct scene *scene, uint64_t time_ns, uint64_t cpu_time_ns)
{
    tell(scene->aggregate,
         (struct event){
             .kind = EVENT_THREAD,
             .time_ns = time_ns,
             .pid = TEST_PID,
             .tid = TEST_PID,
             .thread = {.change = EVENT_THREAD_CPU_TIME, .cpu_time_ns = cpu_time_ns},
         });
}

/* Where switches are told late, each wait is shorter than recorded, and sums are exact still. */
static void waits_are_as_much_shorter_as_slices_are_longer(void **state)
{
    (void)state;
    enum { ROUNDS = 200, SLICE_NS = 10000, WAIT_NS = 30000, LAG_NS = 700, SHORT_NS = 100 };
    struct scene scene;
    scene_begin(&scene, true, false);
    const uint64_t ready[] = {place_in(epoll_wait, 1), place_in(run_worker, 2)};
    const uint64_t lock[] = {place_in(__lll_lock_wait, 1), place_in(run_worker, 2)};
    uint64_t at_ns = 1000, cpu_ns = 0;
    tell_start(&scene, at_ns, TEST_PID, "main");
    tell_cpu_time(&scene, at_ns, 0);
    for (size_t i = 0; i < ROUNDS; i++) {
        bool is_ready = i % 4 != 0;
        at_ns += SLICE_NS;
        cpu_ns += SLICE_NS;
        tell_block(&scene, at_ns, TEST_PID, is_ready ? ready : lock, 2, no_object());
        at_ns += is_ready ? WAIT_NS : SHORT_NS; /* shorter than the lag itself */
        tell_in(scene.aggregate, at_ns, TEST_PID);
    }
    tell_cpu_time(&scene, at_ns, cpu_ns + ROUNDS * LAG_NS);
    scene_freeze(&scene, at_ns + 10);
    assert_int_equal(scene.snapshot->switch_lag_ns, LAG_NS);
    for (size_t i = 0; i < 2; i++) {
        struct attribution attribution;
        const struct wait_shares *waits;
        uint64_t sum_ns = 0, most_ns = 0;
        scene_ask_anew(&scene);
        scene.view = (struct view){.has_from = i > 0, .from_ns = (int64_t)(at_ns / 3)};
        assert_int_equal(attribution_compute(&scene.context, &attribution, &scene.error), 0);
        assert_int_equal(attribution_waits(&scene.context, &attribution, &waits), 0);
        for (size_t row = 0; row < waits->n_rows; row++) {
            sum_ns += waits->rows[row].blocked_ns;
            most_ns = waits->rows[row].blocked_ns > most_ns ? waits->rows[row].blocked_ns : most_ns;
            assert_true(waits->rows[row].max_ns <= WAIT_NS - LAG_NS);
            assert_true(waits->rows[row].max_ns <= waits->rows[row].blocked_ns);
        }
        assert_int_equal(sum_ns, attribution.threads[0].blocked_ns);
        assert_int_equal(sum_ns, attribution.totals.off_cpu_ns);
        assert_true(most_ns * 100 >= sum_ns * 99);
        const struct query_off_cpu_options options = {.by = OFF_CPU_BY_STACK};
        struct off_cpu_result result;
        assert_int_equal(query_off_cpu(&scene.context, &options, &result, &scene.error), 0);
        assert_int_equal(result.selected_ns, sum_ns);
        assert_int_equal(result.rows[0].reason, WAIT_REASON_READY);
        for (size_t row = 0; row < result.n_rows; row++) {
            assert_true(result.rows[row].p50_ns <= result.rows[row].max_ns);
        }
    }
    scene_end(&scene);
}

static void patterns_leave_the_waits_of_their_stacks(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_waits(&scene);
    char *focus[] = {(char[]){"lll_lock"}};
    struct attribution attribution;
    const struct wait_shares *waits;
    scene.view = (struct view){.n_focus = 1, .focus = focus};
    assert_int_equal(attribution_compute(&scene.context, &attribution, &scene.error), 0);
    assert_int_equal(attribution.totals.off_cpu_ns, 800);
    assert_int_equal(attribution.threads[0].blocked_ns, 500);
    assert_int_equal(attribution.threads[1].blocked_ns, 300);
    assert_int_equal(attribution_waits(&scene.context, &attribution, &waits), 0);
    assert_int_equal(waits->n_rows, 2);

    scene.view = (struct view){.n_exclude = 1, .exclude = focus};
    assert_int_equal(attribution_compute(&scene.context, &attribution, &scene.error), 0);
    assert_int_equal(attribution.totals.off_cpu_ns, 5000 + 4000);
    scene_end(&scene);
}

/* A thread that was blocked when the recording began: nobody told where. */
static void time_without_a_wait_has_no_stack(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_thread(scene.aggregate, 1000, TEST_PID, EVENT_THREAD_PRESENT, "main");
    tell_in(scene.aggregate, 4000, TEST_PID);
    scene_freeze(&scene, 6000);
    struct attribution attribution;
    const struct wait_shares *waits;
    assert_int_equal(attribution_compute(&scene.context, &attribution, &scene.error), 0);
    assert_int_equal(attribution_waits(&scene.context, &attribution, &waits), 0);
    assert_int_equal(attribution.threads[0].blocked_ns, 3000);
    assert_int_equal(waits->n_rows, 1);
    assert_int_equal(waits->rows[0].stack, STACK_ID_EMPTY);
    assert_int_equal(waits->rows[0].blocked_ns, 3000);
    scene_end(&scene);
}

static void runs_without_scheduler_events_have_none(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, true);
    const uint64_t ips[] = {place_in(walk_tree, 1)};
    tell_sample(scene.aggregate, 1000, TEST_PID, ips, 1);
    scene_freeze(&scene, 6000);
    struct attribution attribution;
    const struct wait_shares *waits;
    assert_int_equal(attribution_compute(&scene.context, &attribution, &scene.error), 0);
    assert_int_equal(attribution_waits(&scene.context, &attribution, &waits), 0);
    assert_int_equal(waits->n_rows, 0);
    assert_non_null(strstr(attribution_wait_hint(&scene.context, &attribution), "--no-off-cpu"));
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_what_the_threads_did),
        cmocka_unit_test(waits_are_as_much_shorter_as_slices_are_longer),
        cmocka_unit_test(patterns_leave_the_waits_of_their_stacks),
        cmocka_unit_test(time_without_a_wait_has_no_stack),
        cmocka_unit_test(runs_without_scheduler_events_have_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
