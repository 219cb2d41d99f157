/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture/linux/outsiders.h"

#define NOBODY INT64_C(0x7ffffff0) /* beyond any pid_max */

struct fixture {
    struct outsiders outsiders;
    struct event_batch *batch;
    struct event wakeup;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    const struct event_batch_limits limits = {0};
    fixture = (struct fixture){.wakeup = {.time_ns = 77, .pid = 5, .tid = 6}};
    outsiders_init(&fixture.outsiders);
    assert_int_equal(event_batch_new(&limits, &fixture.batch), 0);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    outsiders_release(&fixture->outsiders);
    event_batch_free(fixture->batch);
    return 0;
}

static void note(struct fixture *fixture, int64_t tid)
{
    outsiders_note(&fixture->outsiders, tid, &fixture->wakeup, fixture->batch);
}

/* A process of that name, until it is waited for. */
static pid_t start_named(const char *name)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_NAME, name);
        (void)!write(ready[1], "", 1);
        for (;;) {
            pause();
        }
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void each_is_named_once(void **state)
{
    struct fixture *fixture = *state;
    pid_t first = start_named("a waker"), second = start_named("fifteen letters");
    note(fixture, first);
    note(fixture, first);
    note(fixture, second);
    note(fixture, first);
    assert_int_equal(event_batch_count(fixture->batch), 2);
    const struct event *named = event_batch_get(fixture->batch, 0);
    assert_int_equal(named->kind, EVENT_WAKEUP);
    assert_int_equal(named->time_ns, 77);
    assert_int_equal(named->pid, 5);
    assert_int_equal(named->tid, 6);
    assert_int_equal(named->wakeup.waker_tid, first);
    assert_string_equal(named->wakeup.waker_name, "a waker");
    assert_int_equal(named->wakeup.waker_serial, 0);
    assert_int_equal(named->stack.n_ips, 0);
    named = event_batch_get(fixture->batch, 1);
    assert_int_equal(named->wakeup.waker_tid, second);
    assert_string_equal(named->wakeup.waker_name, "fifteen letters");
    end(first);
    end(second);
}

/* One that is gone has no name, and is not asked for again. */
static void who_is_gone_has_no_name(void **state)
{
    struct fixture *fixture = *state;
    note(fixture, NOBODY);
    note(fixture, NOBODY);
    assert_int_equal(event_batch_count(fixture->batch), 0);
    assert_int_equal(fixture->outsiders.known.n_used, 1);
}

static void so_many_and_no_more(void **state)
{
    struct fixture *fixture = *state;
    for (int64_t i = 0; i < OUTSIDERS_MAX; i++) {
        note(fixture, NOBODY - i);
    }
    note(fixture, getpid());
    assert_int_equal(fixture->outsiders.known.n_used, OUTSIDERS_MAX);
    assert_int_equal(event_batch_count(fixture->batch), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_is_named_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_gone_has_no_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(so_many_and_no_more, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
