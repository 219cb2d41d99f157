/* SPDX-License-Identifier: MIT */
#include "capture/linux/child_processes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"

static pid_t give_birth(void)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        for (;;) {
            pause();
        }
    }
    return pid;
}

static void end(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_child_is_known_by_more_than_its_number(void **state)
{
    (void)state;
    struct child_processes children;
    child_processes_init(&children);
    pid_t pid = give_birth();
    assert_int_equal(child_processes_open(&children, pid), -ESRCH);
    assert_int_equal(child_processes_note(&children, pid, clock_now_ns()), 0);
    assert_int_equal(child_processes_note(&children, pid, clock_now_ns()), 0);
    assert_int_equal(children.n_items, 1);
    _cleanup_(fd_closep) int pidfd = child_processes_open(&children, pid);
    assert_true(pidfd >= 0);
    assert_int_equal(syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0), 0);
    end(pid);
    assert_int_equal(syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0), -1);
    assert_int_equal(child_processes_note(&children, pid, clock_now_ns()), -ESRCH);
    child_processes_forget(&children, pid);
    assert_int_equal(child_processes_open(&children, pid), -ESRCH);
    child_processes_release(&children);
}

static void *live_on(void *argument)
{
    (void)argument;
    for (;;) {
        (void)pause();
    }
    return NULL;
}

/* A process may end its first thread, and go on. */
static void a_child_without_its_first_thread_lives(void **state)
{
    (void)state;
    struct child_processes children;
    child_processes_init(&children);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t thread;
        (void)pthread_create(&thread, NULL, live_on, NULL);
        syscall(SYS_exit, 0); /* of this thread alone */
    }
    assert_true(pid > 0);
    assert_int_equal(child_processes_note(&children, pid, clock_now_ns()), 0);
    char path[64], line[256] = "";
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    while (!strstr(line, ") Z ")) { /* its first thread has ended */
        _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(read(fd, line, sizeof(line) - 1) > 0);
    }
    child_processes_forget(&children, pid);
    int pidfd = child_processes_open(&children, pid);
    assert_true(pidfd >= 0);
    fd_close(pidfd);
    end(pid);
    child_processes_forget(&children, pid);
    assert_int_equal(child_processes_open(&children, pid), -ESRCH);
    child_processes_release(&children);
}

/* Its number is one that was told of before it was born. */
static void another_process_with_its_number_is_refused(void **state)
{
    (void)state;
    struct child_processes children;
    child_processes_init(&children);
    uint64_t before_ns = clock_now_ns() - NS_PER_S;
    pid_t pid = give_birth();
    assert_int_equal(child_processes_note(&children, pid, before_ns), -ESRCH);
    assert_int_equal(child_processes_open(&children, pid), -ESRCH);
    end(pid);
    child_processes_release(&children);
}

static void the_dead_make_room(void **state)
{
    (void)state;
    struct child_processes children;
    child_processes_init(&children);
    pid_t pids[CHILD_PROCESSES_MAX];
    for (size_t i = 0; i < CHILD_PROCESSES_MAX; i++) {
        pids[i] = give_birth();
        assert_int_equal(child_processes_note(&children, pids[i], clock_now_ns()), 0);
    }
    pid_t late = give_birth();
    assert_int_equal(child_processes_note(&children, late, clock_now_ns()), -ENOSPC);
    end(pids[7]);
    assert_int_equal(child_processes_note(&children, late, clock_now_ns()), 0);
    int pidfd = child_processes_open(&children, late);
    assert_true(pidfd >= 0);
    fd_close(pidfd);
    /* One that found no room may be alive. */
    assert_int_equal(child_processes_open(&children, pids[7]), -EPERM);
    end(late);
    for (size_t i = 0; i < CHILD_PROCESSES_MAX; i++) {
        if (i != 7) {
            end(pids[i]);
        }
    }
    child_processes_release(&children);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_is_known_by_more_than_its_number),
        cmocka_unit_test(a_child_without_its_first_thread_lives),
        cmocka_unit_test(another_process_with_its_number_is_refused),
        cmocka_unit_test(the_dead_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
