/* SPDX-License-Identifier: MIT */
#include "query/wake_test.h"

#include "query/waker_name.h"

static void each_kind_of_waker_has_a_name(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    tell_start(&scene, 1000, TEST_PID, "main");
    tell_out(scene.aggregate, 1100, TEST_PID, false);
    tell_wakeup(&scene, 1200, TEST_PID, WAKE_STRANGER_TID, 0, NULL, 0);
    tell_woken_by(&scene, 1300, TEST_PID, 1200, WAKE_STRANGER_TID, 0);
    scene_freeze(&scene, 2000);
    const struct snapshot *snapshot = scene.snapshot;

    struct waker_name name = waker_name_of(snapshot, 0);
    assert_int_equal(name.tid, TEST_PID);
    assert_string_equal(name.name, "main");
    assert_false(name.is_outsider);
    assert_true(waker_is_thread(snapshot, 0));

    waker_id stranger = snapshot_wait(snapshot, snapshot->n_waits - 1)->waker;
    name = waker_name_of(snapshot, stranger);
    assert_int_equal(name.tid, WAKE_STRANGER_TID);
    assert_string_equal(name.name, "stranger");
    assert_true(name.is_outsider);
    assert_false(waker_is_thread(snapshot, stranger));

    name = waker_name_of(snapshot, WAKER_ID_NONE);
    assert_int_equal(name.tid, 0);
    assert_string_equal(name.name, waker_name_none);
    assert_false(name.is_outsider);
    assert_int_equal(waker_name_of(snapshot, WAKER_ID_UNKNOWN).tid, -1);
    assert_false(waker_is_thread(snapshot, WAKER_ID_NONE));
    assert_false(waker_is_thread(snapshot, WAKER_ID_UNKNOWN));
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_waker_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
