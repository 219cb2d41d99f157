/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/target_threads.h"

static void test_no_namespace(void **state)
{
    (void)state;
    struct target_threads *threads = target_threads_new(getpid());
    assert_non_null(threads);
    uint32_t tid = (uint32_t)gettid();
    assert_int_equal(target_threads_find(threads, tid), tid);
    assert_int_equal(target_threads_find(threads, 0), 0);
    assert_int_equal(target_threads_find(threads, UINT32_MAX), UINT32_MAX);
    target_threads_free(threads);
}

static void test_no_process(void **state)
{
    (void)state;
    struct target_threads *threads = target_threads_new(INT64_C(1) << 40);
    assert_non_null(threads);
    assert_int_equal(target_threads_find(threads, 7), 7);
    target_threads_free(threads);
}

/* The first process of a namespace calls itself 1. */
static void test_a_namespace(void **state)
{
    (void)state;
    int said[2], blocking[2];
    assert_int_equal(pipe(said), 0);
    assert_int_equal(pipe(blocking), 0);
    pid_t helper = fork();
    if (helper == 0) {
        char byte;
        close(blocking[1]);
        pid_t inner = -1;
        if (unshare(CLONE_NEWPID) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0) {
            inner = fork();
        }
        if (inner != 0) {
            _exit(write(said[1], &inner, sizeof(inner)) == (ssize_t)sizeof(inner) ? 0 : 1);
        }
        (void)!read(blocking[0], &byte, 1);
        _exit(0);
    }
    pid_t inner = -1;
    assert_int_equal(read(said[0], &inner, sizeof(inner)), sizeof(inner));
    if (inner > 0) {
        struct target_threads *threads = target_threads_new(inner);
        assert_non_null(threads);
        assert_int_equal(target_threads_find(threads, 1), inner);
        assert_int_equal(target_threads_find(threads, 4000000), 4000000);
        target_threads_free(threads);
    }
    close(blocking[0]);
    close(blocking[1]);
    waitpid(helper, NULL, 0);
    close(said[0]);
    close(said[1]);
    if (inner <= 0) {
        skip(); /* this host gives us no namespace */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_namespace),
        cmocka_unit_test(test_no_process),
        cmocka_unit_test(test_a_namespace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
