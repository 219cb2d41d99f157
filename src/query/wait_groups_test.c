/* SPDX-License-Identifier: MIT */
#include "query/wait_groups.h"

#include "query/wait_test.h"

struct answer {
    struct attribution attribution;
    struct wait_causes causes;
    struct wait_groups groups;
};

static void make(struct scene *scene, enum off_cpu_by by, struct answer *answer)
{
    const struct wait_groups_options options = {.by = by};
    assert_int_equal(wait_causes_init(&scene->context, &answer->causes), 0);
    assert_int_equal(attribution_compute(&scene->context, &answer->attribution, &scene->error), 0);
    assert_int_equal(wait_groups_make(&scene->context, &answer->attribution, &answer->causes,
                                      &options, &answer->groups),
                     0);
    uint64_t rows_ns = 0, groups_ns = 0;
    for (size_t i = 0; i < answer->groups.waits->n_rows; i++) {
        rows_ns += answer->groups.waits->rows[i].blocked_ns;
        assert_true(answer->groups.of_row[i] < answer->groups.n_groups);
    }
    for (size_t i = 0; i < answer->groups.n_groups; i++) {
        groups_ns += answer->groups.groups[i].blocked_ns;
    }
    assert_int_equal(rows_ns, groups_ns);
}

static void groups_hold_rows_that_are_alike(void **state)
{
    (void)state;
    struct scene scene;
    struct answer answer;
    scene_begin(&scene, true, false);
    tell_waits(&scene);
    static const size_t n_groups[] = {
        [OFF_CPU_BY_STACK] = 3, [OFF_CPU_BY_REASON] = 3, [OFF_CPU_BY_THREAD] = 4};
    for (enum off_cpu_by by = OFF_CPU_BY_STACK; by <= OFF_CPU_BY_THREAD; by++) {
        make(&scene, by, &answer);
        assert_int_equal(answer.groups.n_groups, n_groups[by]);
        for (size_t i = 0; i < answer.groups.waits->n_rows; i++) {
            const struct wait_share *row = &answer.groups.waits->rows[i];
            const struct wait_group *group = &answer.groups.groups[answer.groups.of_row[i]];
            const struct wait_cause_entry *cause = wait_causes_get(&answer.causes, row->stack, 0);
            assert_int_equal(group->reason, cause->reason);
            assert_true(group->heaviest_ns >= row->blocked_ns);
            assert_true(group->thread == row->thread || group->thread == THREAD_ID_NONE);
        }
        wait_causes_release(&answer.causes);
    }
    scene_end(&scene);
}

static void single_waits_are_read_for_wanted_groups_only(void **state)
{
    (void)state;
    struct scene scene;
    struct answer answer;
    scene_begin(&scene, true, false);
    tell_waits(&scene);
    make(&scene, OFF_CPU_BY_STACK, &answer);
    uint8_t is_wanted[3] = {0};
    for (size_t i = 0; i < 3; i++) {
        is_wanted[i] = answer.groups.groups[i].reason != WAIT_REASON_SLEEP;
    }
    assert_int_equal(
        wait_groups_look(&scene.context, &answer.attribution, is_wanted, &answer.groups), 0);
    for (size_t i = 0; i < 3; i++) {
        struct wait_group *group = &answer.groups.groups[i];
        bool is_sleep = group->reason == WAIT_REASON_SLEEP;
        assert_int_equal(group->lengths.n_lengths, is_sleep ? 0 : group->n_waits);
        assert_int_equal(group->lengths.max_ns, is_sleep ? 0 : group->max_ns);
        assert_int_equal(group->n_objects, 0);
    }
    wait_causes_release(&answer.causes);
    scene_end(&scene);
}

/* The same stack on several objects: the one of most waits, and how many there are. */
static void objects_are_counted(void **state)
{
    (void)state;
    struct scene scene;
    struct answer answer;
    scene_begin(&scene, true, false);
    const uint64_t ips[] = {place_in(__lll_lock_wait, 1), place_in(run_worker, 2)};
    tell_start(&scene, 1000, TEST_PID, "main");
    for (uint64_t i = 0; i < 9; i++) {
        tell_block(&scene, 2000 + 100 * i, TEST_PID, ips, 2,
                   object_of(SYS_futex, i % 3 == 0   ? 0x1000
                                        : i % 3 == 1 ? 0x2000
                                                     : 0x1000 * i));
        tell_in(scene.aggregate, 2050 + 100 * i, TEST_PID);
    }
    scene_freeze(&scene, 4000);
    make(&scene, OFF_CPU_BY_STACK, &answer);
    assert_int_equal(answer.groups.n_groups, 1);
    struct wait_group *group = &answer.groups.groups[0];
    assert_int_equal(
        wait_groups_look(&scene.context, &answer.attribution, (const uint8_t[]){1}, &answer.groups),
        0);
    /* 0x1000: 3, 0x2000: 3 and one of 0x1000 * 2, 0x5000, 0x8000 */
    assert_int_equal(group->n_objects, 4);
    assert_int_equal(snapshot_wait_object(scene.snapshot, group->object).argument, 0x2000);
    wait_causes_release(&answer.causes);
    scene_end(&scene);
}

/* Where a second program watches the scheduler, stacks begin in it. */
static void frames_of_the_scheduler_make_no_difference(void **state)
{
    (void)state;
    struct scene scene;
    struct answer answer;
    scene_begin(&scene, true, false);
    const uint64_t ips[] = {place_in(epoll_wait, 1), place_in(run_worker, 2)};
    tell_start(&scene, 1000, TEST_PID, "main");
    tell_wait(&scene, 2000, 3000, TEST_PID, ips, 2);
    tell_block(&scene, 4000, TEST_PID, ips, 2, no_object());
    tell_seen(&scene, 4500, TEST_PID, "schedule", no_object());
    tell_in(scene.aggregate, 5000, TEST_PID);
    scene_freeze(&scene, 6000);
    make(&scene, OFF_CPU_BY_STACK, &answer);
    assert_int_equal(answer.groups.waits->n_rows, 2);
    assert_int_equal(answer.groups.n_groups, 1);
    assert_int_equal(attribution_spread_waits(&scene.context, &answer.attribution), 0);
    stack_id stack = snapshot_wait(scene.snapshot, 0)->stack;
    stack_id scheduled = snapshot_wait(scene.snapshot, 1)->stack;
    assert_int_equal(snapshot_stack(scene.snapshot, scheduled).parent, stack);
    assert_int_equal(answer.attribution.stack_waits[stack].blocked_ns, 2000);
    assert_int_equal(answer.attribution.stack_waits[scheduled].n_waits, 0);
    wait_causes_release(&answer.causes);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_hold_rows_that_are_alike),
        cmocka_unit_test(single_waits_are_read_for_wanted_groups_only),
        cmocka_unit_test(objects_are_counted),
        cmocka_unit_test(frames_of_the_scheduler_make_no_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
