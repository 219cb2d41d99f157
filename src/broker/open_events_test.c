/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "broker/open_events.h"
#include "broker/open_switches.h"

/* This process as its own target, for a caller for whom nothing is asked: who may is
 * authorize_test.c's and the end-to-end cases' to show. */
static const struct caller all = {.may_observe_all = true};
static struct broker_target target;

static int open_target(void **state)
{
    (void)state;
    int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    int r = target_facts_open(pidfd, &target.pid, &target.process_fd);
    fd_close(pidfd);
    return r;
}

static int close_target(void **state)
{
    (void)state;
    target.process_fd = fd_close(target.process_fd);
    return 0;
}

static void a_thread_of_the_target(void **state)
{
    (void)state;
    assert_int_equal(open_events_check(&all, &target, getpid()), 0);
    assert_int_equal(open_events_check(&all, &target, 1), -ESRCH);
    assert_int_equal(open_events_check(&all, &target, getppid()), -ESRCH);
}

static void an_event_comes_disabled_unless_it_is_asked_for(void **state)
{
    (void)state;
    struct broker_event_request request = {
        .verb = BROKER_OPEN_EVENT,
        .kind = BROKER_KIND_SAMPLES,
        .tid = getpid(),
        .period_ns = 1000000,
        .flags = BROKER_FLAG_EXCLUDE_KERNEL,
    };
    uint64_t count;
    int fd = -1;
    int r = open_events_open(&all, &target, &request, &fd);
    if (r == -EACCES || r == -EPERM || r == -ENOENT || r == -ENOSYS) {
        skip();
    }
    assert_int_equal(r, 0);
    for (volatile int i = 0; i < 100000000; i++) {
    }
    assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
    assert_true(count == 0);
    fd_close(fd);
    request.tid = 1;
    assert_int_equal(open_events_open(&all, &target, &request, &fd), -ESRCH);
}

static void rings_of_programs(void **state)
{
    (void)state;
    struct sched_watch *watch = NULL;
    int fd, r = open_switches_start(&all, &target, true, &watch);
    if (r != 0) {
        assert_null(watch);
        skip();
    }
    assert_int_equal(open_switches_ring(watch, 0, &fd), 0);
    fd_close(fd);
    assert_int_equal(open_switches_ring(watch, BROKER_SWITCHES_LOST, &fd), 0);
    fd_close(fd);
    assert_int_equal(open_switches_ring(watch, 60000, &fd), -ENODEV);
    (void)sched_watch_free(watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_thread_of_the_target, open_target, close_target),
        cmocka_unit_test_setup_teardown(an_event_comes_disabled_unless_it_is_asked_for, open_target,
                                        close_target),
        cmocka_unit_test_setup_teardown(rings_of_programs, open_target, close_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
