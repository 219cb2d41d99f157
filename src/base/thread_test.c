/* SPDX-License-Identifier: MIT */
#include "base/thread.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct seen {
    sigset_t blocked;
    pthread_barrier_t named;
};

static void *look(void *userdata)
{
    struct seen *seen = userdata;
    pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
    pthread_barrier_wait(&seen->named);
    return seen;
}

static void it_takes_no_signals(void **state)
{
    (void)state;
    struct seen seen;
    sigset_t before, after;
    pthread_t thread;
    void *returned;
    char name[64];
    pthread_barrier_init(&seen.named, NULL, 2);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(thread_start("a name that is too long", look, &seen, &thread), 0);
    assert_int_equal(pthread_getname_np(thread, name, sizeof(name)), 0);
    pthread_barrier_wait(&seen.named);
    assert_int_equal(pthread_join(thread, &returned), 0);
    assert_ptr_equal(returned, &seen);
    assert_string_equal(name, "a name that is ");
    assert_true(sigismember(&seen.blocked, SIGINT) && sigismember(&seen.blocked, SIGCHLD));
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int number = 1; number < NSIG; number++) {
        assert_int_equal(sigismember(&before, number), sigismember(&after, number));
    }
    pthread_barrier_destroy(&seen.named);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_takes_no_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
