/* SPDX-License-Identifier: MIT */
#include "query/object_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>
#include <sys/syscall.h>

static const char *name_five(void *userdata, struct arena *arena, int64_t pid, int fd)
{
    (void)userdata;
    (void)arena;
    return pid == 100 && fd == 5 ? "pipe:[123]" : NULL;
}

static const char *name_lock(void *userdata, struct arena *arena, int64_t pid, uint64_t address)
{
    (void)userdata;
    (void)arena;
    return pid == 100 && address == 0x2000 ? "queue_lock+0x8 (server)" : NULL;
}

static const struct object_namer namer = {.name_descriptor = name_five, .name_address = name_lock};

static void assert_text(uint32_t syscall, uint64_t argument, const char *expected)
{
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    const struct wait_object object = {.pid = 100, .syscall = syscall, .argument = argument};
    const char *text = object_text(&object, &namer, &arena);
    if (expected) {
        assert_non_null(text);
        assert_string_equal(text, expected);
    } else {
        assert_null(text);
    }
}

static void objects_have_the_words_of_their_kind(void **state)
{
    (void)state;
    assert_text(SYS_read, 5, "pipe:[123]");
    assert_text(SYS_read, 6, "descriptor 6");
    assert_text(SYS_read, UINT64_C(0xffffffff00000005),
                "pipe:[123]"); /* an int, as the kernel sees it */
    assert_text(SYS_read, UINT64_MAX, NULL);
    assert_text(SYS_futex, 0x7f0000001230, "futex 0x7f0000001230");
    assert_text(SYS_futex, 0x2000, "futex queue_lock+0x8 (server)");
    assert_text(SYS_wait4, 4711, "process 4711");
    assert_text(SYS_wait4, UINT64_MAX, "any child");
    assert_text(SYS_clock_nanosleep, 1, NULL);
    assert_text(EVENT_NO_SYSCALL, 5, NULL);
}

static void nobody_need_know_descriptors(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    const struct wait_object object = {.pid = 100, .syscall = SYS_read, .argument = 5};
    assert_string_equal(object_text(&object, NULL, &arena), "descriptor 5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_have_the_words_of_their_kind),
        cmocka_unit_test(nobody_need_know_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
