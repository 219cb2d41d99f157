/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/data_place.h"

/* In .data, in .bss, and far behind the part of .bss that shares a page with .data. */
static volatile uint64_t in_data[2] = {1, 2};
static volatile uint64_t in_bss[3];
static volatile char far_behind[1 << 20];

static const char *name_of(const volatile void *variable, struct arena *arena)
{
    return data_place_name(arena, getpid(), (uint64_t)(uintptr_t)variable);
}

static void variables_of_a_process_have_names(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    assert_string_equal(name_of(in_data, &arena), "in_data (test_server_data_place)");
    assert_string_equal(name_of(&in_data[1], &arena), "in_data+0x8 (test_server_data_place)");
    assert_string_equal(name_of(&in_bss[2], &arena), "in_bss+0x10 (test_server_data_place)");
    assert_string_equal(name_of(&far_behind[sizeof(far_behind) - 1], &arena),
                        "far_behind+0xfffff (test_server_data_place)");
    /* Of the C library's data what its table of exported symbols has. */
    const char *shared = name_of(&environ, &arena);
    if (shared) {
        assert_non_null(strstr(shared, "environ"));
    }
}

static void other_memory_has_none(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    int on_stack = 0;
    _cleanup_(freep) char *on_heap = malloc(100);
    assert_null(name_of(&on_stack, &arena));
    assert_null(name_of(on_heap, &arena));
    assert_null(data_place_name(&arena, getpid(), 0));
    assert_null(data_place_name(&arena, getpid(), UINT64_MAX));
    assert_null(data_place_name(&arena, INT32_MAX, (uint64_t)(uintptr_t)in_data));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_of_a_process_have_names),
        cmocka_unit_test(other_memory_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
