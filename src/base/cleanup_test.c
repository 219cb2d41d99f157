/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"

struct probe {
    int *n_freed;
};

static struct probe *probe_free(struct probe *probe)
{
    if (probe) {
        (*probe->n_freed)++;
    }
    return NULL;
}
DEFINE_FREEP(probe);

static void probe_release(struct probe *probe)
{
    *probe->n_freed += 10;
}
DEFINE_RELEASEP(probe);

static void leaving_the_scope_frees(void **state)
{
    (void)state;
    int n_freed = 0;
    struct probe object = {.n_freed = &n_freed};
    {
        _cleanup_(probe_freep) struct probe *pointer = &object;
        assert_ptr_equal(pointer, &object);
    }
    assert_int_equal(n_freed, 1);
    {
        _cleanup_(probe_releasep) struct probe held = object;
        assert_ptr_equal(held.n_freed, &n_freed);
    }
    assert_int_equal(n_freed, 11);
}

static void what_was_taken_is_not_freed(void **state)
{
    (void)state;
    int n_freed = 0;
    struct probe object = {.n_freed = &n_freed};
    struct probe *taken;
    {
        _cleanup_(probe_freep) struct probe *pointer = &object;
        taken = TAKE_PTR(pointer);
        assert_null(pointer);
    }
    assert_ptr_equal(taken, &object);
    assert_int_equal(n_freed, 0);
}

static void a_taken_descriptor_leaves_minus_one(void **state)
{
    (void)state;
    int fd = 7;
    assert_int_equal(TAKE_FD(fd), 7);
    assert_int_equal(fd, -1);
}

static void memory_is_freed_by_freep(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        _cleanup_(freep) char *memory = i == 0 ? malloc(100) : NULL;
        if (memory) {
            memory[0] = 'x';
        }
        assert_true(i == 1 || memory); /* LeakSanitizer says the rest. */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaving_the_scope_frees),
        cmocka_unit_test(what_was_taken_is_not_freed),
        cmocka_unit_test(a_taken_descriptor_leaves_minus_one),
        cmocka_unit_test(memory_is_freed_by_freep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
