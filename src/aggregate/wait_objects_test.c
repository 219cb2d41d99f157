/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/wait_objects.h"

static wait_object_id intern(struct wait_objects *objects, int64_t pid, uint32_t syscall,
                             uint64_t argument)
{
    const struct event_wait_object object = {.syscall = syscall, .argument = argument};
    return wait_objects_intern(objects, pid, object);
}

static void objects_differ_in_all_three(void **state)
{
    (void)state;
    struct wait_objects objects;
    assert_int_equal(wait_objects_init(&objects), 0);
    assert_int_equal(intern(&objects, 100, EVENT_NO_SYSCALL, 7), 0);
    wait_object_id read_stdin = intern(&objects, 100, 0, 0);
    wait_object_id read_other = intern(&objects, 100, 0, 3);
    wait_object_id other_process = intern(&objects, 101, 0, 0);
    wait_object_id futex = intern(&objects, 100, 202, 0);
    assert_int_equal(read_stdin, 1);
    assert_int_equal(read_other, 2);
    assert_int_equal(other_process, 3);
    assert_int_equal(futex, 4);
    assert_int_equal(intern(&objects, 100, 0, 3), read_other);
    struct wait_object known = wait_objects_get(&objects, read_other);
    assert_int_equal(known.pid, 100);
    assert_int_equal(known.syscall, 0);
    assert_int_equal(known.argument, 3);
    assert_int_equal(wait_objects_get(&objects, 0).syscall, EVENT_NO_SYSCALL);
    wait_objects_release(&objects);
}

static void what_finds_no_room_is_counted(void **state)
{
    (void)state;
    struct wait_objects objects;
    assert_int_equal(wait_objects_init(&objects), 0);
    for (uint64_t i = 1; i < WAIT_OBJECTS_MAX; i++) {
        assert_int_equal(intern(&objects, 100, 202, 0x7f0000000000 + 64 * i), i);
    }
    assert_int_equal(objects.n_turned_away, 0);
    assert_int_equal(intern(&objects, 100, 202, 1), 0);
    assert_int_equal(intern(&objects, 100, 202, 1), 0);
    assert_int_equal(objects.n_turned_away, 2);
    assert_int_equal(intern(&objects, 100, 202, 0x7f0000000000 + 64 * 99), 99);
    assert_true(wait_objects_memory_bytes(&objects) >=
                WAIT_OBJECTS_MAX * sizeof(struct wait_object));
    wait_objects_release(&objects);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_differ_in_all_three),
        cmocka_unit_test(what_finds_no_room_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
