/* SPDX-License-Identifier: MIT */
#include "query/wait_causes.h"

#include "query/stack_frames.h"
#include "query/wait_test.h"

/* The stack in which the thread waits now. */
static stack_id open_stack(const struct scene *scene, size_t thread)
{
    assert_int_equal(scene->snapshot->threads[thread].phase, THREAD_PHASE_BLOCKED);
    return scene->snapshot->threads[thread].wait_stack;
}

static void names_decide_once_per_stack(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_waits(&scene);
    _cleanup_(wait_causes_releasep) struct wait_causes causes;
    assert_int_equal(wait_causes_init(&scene.context, &causes), 0);
    stack_id stack = open_stack(&scene, 0);
    const struct wait_cause_entry *entry = wait_causes_get(&causes, stack, 0);
    assert_int_equal(entry->reason, WAIT_REASON_READY);
    assert_string_equal(entry->site, "epoll_wait");
    assert_non_null(strstr(entry->site_image, "wait_causes"));
    assert_int_equal(entry->site_frame, 0);
    assert_ptr_equal(wait_causes_get(&causes, stack, 0), entry);

    entry = wait_causes_get(&causes, STACK_ID_EMPTY, 0);
    assert_int_equal(entry->reason, WAIT_REASON_OTHER);
    assert_string_equal(entry->site, "");
    assert_int_equal(entry->site_frame, WAIT_CAUSE_NO_FRAME);
    wait_causes_release(&causes);
    assert_int_equal(wait_causes_init(&scene.context, &causes), 0);
    scene_end(&scene);
}

/* A place of the kernel alone does not say in which direction; the system call does. */
static void system_calls_take_part_where_a_single_kernel_place_is_known(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    const uint64_t caller[] = {place_in(walk_tree, 1), place_in(run_worker, 2)};
    tell_start(&scene, 1000, TEST_PID, "main");
    tell_block(&scene, 2000, TEST_PID, caller, 2, object_of(SYS_recvfrom, 5));
    tell_seen(&scene, 2500, TEST_PID, "wait_woken", object_of(SYS_recvfrom, 5));
    tell_in(scene.aggregate, 3000, TEST_PID);
    tell_block(&scene, 4000, TEST_PID, caller, 2, object_of(SYS_sendto, 5));
    tell_seen(&scene, 4500, TEST_PID, "wait_woken", object_of(SYS_sendto, 5));
    scene_freeze(&scene, 5000);

    stack_id stack = open_stack(&scene, 0);
    const struct stored_wait *first = snapshot_wait(scene.snapshot, 0);
    assert_int_equal(first->stack, stack);
    assert_true(wait_causes_need_object(&scene.context, stack));
    _cleanup_(wait_causes_releasep) struct wait_causes causes;
    assert_int_equal(wait_causes_init(&scene.context, &causes), 0);
    const struct wait_cause_entry *in = wait_causes_get(&causes, stack, first->object);
    const struct wait_cause_entry *out =
        wait_causes_get(&causes, stack, scene.snapshot->threads[0].wait_object);
    assert_int_equal(in->reason, WAIT_REASON_IO_R);
    assert_int_equal(out->reason, WAIT_REASON_IO_W);
    assert_ptr_equal(wait_causes_get(&causes, stack, first->object), in);
    struct frame_result *frames;
    size_t n_frames;
    assert_int_equal(frames_of_stack(&scene.context, stack, 0, &frames, &n_frames), 0);
    assert_int_equal(n_frames, 3);
    assert_string_equal(frames[0].name, "wait_woken");
    assert_string_equal(frames[0].image, "[kernel]");
    assert_int_equal(frames[0].kind, FRAME_KIND_KERNEL);
    assert_string_equal(frames[1].name, "walk_tree");
    scene_end(&scene);
}

/* Without a kernel half there is the system call alone; it is no frame. */
static void the_site_can_be_a_system_call(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    const uint64_t caller[] = {place_in(walk_tree, 1), place_in(run_worker, 2)};
    tell_start(&scene, 1000, TEST_PID, "main");
    tell_block(&scene, 2000, TEST_PID, caller, 2, object_of(SYS_nanosleep, 0));
    scene_freeze(&scene, 5000);
    _cleanup_(wait_causes_releasep) struct wait_causes causes;
    assert_int_equal(wait_causes_init(&scene.context, &causes), 0);
    stack_id stack = open_stack(&scene, 0);
    const struct wait_cause_entry *entry =
        wait_causes_get(&causes, stack, scene.snapshot->threads[0].wait_object);
    assert_int_equal(entry->reason, WAIT_REASON_SLEEP);
    assert_string_equal(entry->site, "nanosleep");
    assert_string_equal(entry->site_image, "[kernel]");
    assert_int_equal(entry->site_frame, WAIT_CAUSE_NO_FRAME);
    /* The same stack where nobody told the call. */
    entry = wait_causes_get(&causes, stack, 0);
    assert_int_equal(entry->reason, WAIT_REASON_OTHER);
    scene_end(&scene);
}

static void system_calls_take_part_where_kernel_names_are_hidden(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    /* No symbol of any kernel is here. */
    const uint64_t ips[] = {UINT64_C(0xffff800000000100), UINT64_C(0xffff800000000200),
                            UINT64_C(0xffff800000000300), place_in(run_worker, 2)};
    tell_start(&scene, 1000, TEST_PID, "main");
    tell(scene.aggregate, (struct event){
                              .kind = EVENT_SWITCH_OUT,
                              .time_ns = 2000,
                              .pid = TEST_PID,
                              .tid = TEST_PID,
                              .stack = {.ips = ips, .n_ips = 4, .n_kernel_ips = 3},
                              .switch_out = {.object = object_of(SYS_epoll_wait, 3)},
                          });
    scene_freeze(&scene, 5000);
    _cleanup_(wait_causes_releasep) struct wait_causes causes;
    assert_int_equal(wait_causes_init(&scene.context, &causes), 0);
    stack_id stack = open_stack(&scene, 0);
    assert_true(wait_causes_need_object(&scene.context, stack));
    const struct wait_cause_entry *entry =
        wait_causes_get(&causes, stack, scene.snapshot->threads[0].wait_object);
    assert_int_equal(entry->reason, WAIT_REASON_READY);
    assert_string_equal(entry->site, "epoll_wait");
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_decide_once_per_stack),
        cmocka_unit_test(system_calls_take_part_where_a_single_kernel_place_is_known),
        cmocka_unit_test(the_site_can_be_a_system_call),
        cmocka_unit_test(system_calls_take_part_where_kernel_names_are_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
